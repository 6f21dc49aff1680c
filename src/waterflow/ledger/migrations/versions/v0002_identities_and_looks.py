"""Identities of models, refreshes and canaries in the ledger. Looks at held-out rows."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LEDGER, LOOKS = "waterflow_ledger", "waterflow_look"
KINDS = "kind IN ('promote', 'refresh', 'canary', 'hold', 'reject', 'rollback', 'manual')"
REFUSAL = "rows of the ledger are not changed or deleted; a new row corrects an old one"


def upgrade() -> None:
    """Extend the ledger and create the table of looks. Both are protected."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if is_sqlite:
        _rebuild_in_sqlite()
    else:
        _alter_in_postgres()
    # One decision per run, so that a retry finds it; a canary reports on a run as often as it needs.
    op.create_index(
        "waterflow_ledger_one_per_run",
        LEDGER,
        ["model", "run_id"],
        unique=True,
        sqlite_where=sa.text("kind <> 'canary'"),
        postgresql_where=sa.text("kind <> 'canary'"),
    )
    op.create_table(
        LOOKS,
        sa.Column("model", sa.String(255), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("evaluation_key", sa.String(64), nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("rows_key", sa.String(255), nullable=False),
        sa.Column("rows_digest", sa.String(64), nullable=False),
        sa.Column("rows_bytes", sa.Integer, nullable=False),
        sa.Column("row_count", sa.Integer, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("alpha", sa.Float, nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        # The same evaluation again, as by a retry, shows nothing new: it is the same look.
        sa.UniqueConstraint("model", "evaluation_key", name="waterflow_look_one_per_evaluation"),
        sa.CheckConstraint("sequence > 0 AND number > 0", name="waterflow_look_numbers"),
    )
    for table in (LEDGER, LOOKS) if is_sqlite else (LOOKS,):
        _protect(table, is_sqlite=is_sqlite)


def downgrade() -> None:
    """Raise an error: a command does not discard the ledger."""
    raise NotImplementedError("the ledger is not migrated back; restore a backup instead")


def _new_columns() -> list[sa.Column[object]]:
    return [
        sa.Column("model_id", sa.String(64)),
        sa.Column("model_digest", sa.String(64)),
        sa.Column("effective_at", sa.DateTime(timezone=True)),
    ]


def _alter_in_postgres() -> None:
    op.drop_constraint("waterflow_ledger_one_per_run", LEDGER)
    op.drop_constraint("waterflow_ledger_kind", LEDGER)
    op.create_check_constraint("waterflow_ledger_kind", LEDGER, KINDS)
    for column in _new_columns():
        op.add_column(LEDGER, column)


def _rebuild_in_sqlite() -> None:
    """Copy the rows into a new table. SQLite cannot alter a constraint."""
    for change in ("update", "delete"):
        op.execute(f"DROP TRIGGER {LEDGER}_no_{change}")
    op.rename_table(LEDGER, f"{LEDGER}_0001")
    op.create_table(
        LEDGER,
        sa.Column("model", sa.String(255), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer),
        sa.Column("from_version", sa.Integer),
        sa.Column("to_version", sa.Integer),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("run_id", sa.String(64)),
        sa.Column("dag_run_id", sa.String(255)),
        sa.Column("window_start", sa.DateTime(timezone=True)),
        sa.Column("window_end", sa.DateTime(timezone=True)),
        sa.Column("verdict", sa.JSON),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        *_new_columns(),
        sa.CheckConstraint("sequence > 0", name="waterflow_ledger_sequence"),
        sa.CheckConstraint(KINDS, name="waterflow_ledger_kind"),
    )
    columns = (
        "model, sequence, kind, version, from_version, to_version, reason, actor, run_id, dag_run_id, "
        "window_start, window_end, verdict, decided_at"
    )
    op.execute(f"INSERT INTO {LEDGER} ({columns}) SELECT {columns} FROM {LEDGER}_0001")  # noqa: S608
    op.drop_table(f"{LEDGER}_0001")


def _protect(table: str, *, is_sqlite: bool) -> None:
    if is_sqlite:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )
    else:
        op.execute(
            f"CREATE TRIGGER {table}_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION waterflow_ledger_refuse()"
        )
