"""The ledger and the marks of its projections. Neither can be changed or deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TABLES = ("waterflow_ledger", "waterflow_ledger_projection")
REFUSAL = "rows of the ledger are not changed or deleted; a new row corrects an old one"


def upgrade() -> None:
    """Create both tables and the triggers that protect their rows."""
    op.create_table(
        "waterflow_ledger",
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
        # One decision for each run: the second try of a step finds the first one's.
        sa.UniqueConstraint("model", "run_id", name="waterflow_ledger_one_per_run"),
        sa.CheckConstraint("sequence > 0", name="waterflow_ledger_sequence"),
        sa.CheckConstraint("kind IN ('promote', 'hold', 'reject', 'rollback', 'manual')", name="waterflow_ledger_kind"),
    )
    op.create_table(
        "waterflow_ledger_projection",
        sa.Column("model", sa.String(255), primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("projected_at", sa.DateTime(timezone=True), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        _refuse_changes_in_sqlite()
    else:
        _refuse_changes_in_postgres()


def downgrade() -> None:
    """Raise an error: a command does not discard the ledger."""
    raise NotImplementedError("the ledger's first revision has nothing before it; restore a backup instead")


def _refuse_changes_in_sqlite() -> None:
    for table in TABLES:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )


def _refuse_changes_in_postgres() -> None:
    op.execute(
        "CREATE FUNCTION waterflow_ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION waterflow_ledger_refuse()"
        )
