# ruff: noqa: S608  # the names are those of TABLES
"""The chain of rows and their signatures. Rows can neither be replaced nor inserted out of order."""

import uuid

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

CHAINED, PROJECTIONS, IDENTITY = (
    ("waterflow_ledger", "waterflow_look"),
    "waterflow_ledger_projection",
    "waterflow_ledger_identity",
)
TABLES = (*CHAINED, PROJECTIONS, IDENTITY)
REFUSAL = "rows of the ledger are not changed or deleted; a new row corrects an old one"
ORDER = "a new row of the ledger follows the newest one"


def upgrade() -> None:
    """Extend the tables, and create the ledger's id. Rows from before stay, without signatures."""
    for table in CHAINED:
        op.add_column(table, sa.Column("previous_digest", sa.String(64)))
        op.add_column(table, sa.Column("signature", sa.Text))
    op.add_column(PROJECTIONS, sa.Column("signature", sa.Text))
    identity = op.create_table(IDENTITY, sa.Column("id", sa.String(32), primary_key=True))
    op.bulk_insert(identity, [{"id": uuid.uuid4().hex}])
    if op.get_bind().dialect.name == "sqlite":
        _protect_in_sqlite()
    else:
        _protect_in_postgres()


def downgrade() -> None:
    """Raise an error: a command does not discard the ledger."""
    raise NotImplementedError("the ledger is not migrated back; restore a backup instead")


def _protect_in_sqlite() -> None:
    """Refuse what is not the next row of its model. INSERT OR REPLACE removes nothing then."""
    for table in CHAINED:
        unique = "run_id" if table == "waterflow_ledger" else "evaluation_key"
        canary = " AND kind <> 'canary' AND NEW.kind <> 'canary'" if table == "waterflow_ledger" else ""
        _refuse_in_sqlite(
            f"{table}_order",
            table,
            "INSERT",
            f"NEW.sequence IS NOT (SELECT coalesce(max(sequence), 0) + 1 FROM {table} WHERE model = NEW.model) "
            f"OR EXISTS (SELECT 1 FROM {table} WHERE model = NEW.model AND {unique} = NEW.{unique}{canary})",
            ORDER,
        )
        _refuse_in_sqlite(
            f"{table}_signed",
            table,
            "INSERT",
            "NEW.signature IS NULL OR NEW.previous_digest IS NULL",
            "a row is signed",
        )
    _refuse_in_sqlite(
        f"{PROJECTIONS}_order",
        PROJECTIONS,
        "INSERT",
        f"EXISTS (SELECT 1 FROM {PROJECTIONS} WHERE model = NEW.model AND sequence = NEW.sequence)",
        ORDER,
    )
    for change in ("INSERT", "UPDATE", "DELETE"):
        _refuse_in_sqlite(f"{IDENTITY}_no_{change.lower()}", IDENTITY, change, "1", REFUSAL)


def _refuse_in_sqlite(name: str, table: str, change: str, condition: str, refusal: str) -> None:
    op.execute(
        f"CREATE TRIGGER {name} BEFORE {change} ON {table} WHEN {condition} BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
    )


def _protect_in_postgres() -> None:
    """Replace the triggers, whose function was not the migrations' alone. New rows have to be signed."""
    for table in (*CHAINED, PROJECTIONS):
        op.execute(f"DROP TRIGGER {table}_immutable ON {table}")
    op.execute(
        "CREATE FUNCTION ledger.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
    )
    op.execute(
        "CREATE FUNCTION ledger.require_order() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$ "
        "DECLARE newest integer; BEGIN "
        "EXECUTE format('SELECT max(sequence) FROM ledger.%I WHERE model = $1', TG_TABLE_NAME) "
        "INTO newest USING NEW.model; "
        "IF NEW.sequence IS DISTINCT FROM coalesce(newest, 0) + 1 THEN "
        f"RAISE EXCEPTION '{ORDER}' USING ERRCODE = 'unique_violation'; END IF; "
        "RETURN NEW; END $$"
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change()"
        )
    for table in CHAINED:
        op.execute(
            f"CREATE TRIGGER in_order BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION ledger.require_order()"
        )
        op.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT {table}_signed "
            "CHECK (signature IS NOT NULL AND previous_digest IS NOT NULL) NOT VALID"  # rows from before stay
        )
    op.execute(f"ALTER TABLE {PROJECTIONS} ADD CONSTRAINT projection_signed CHECK (signature IS NOT NULL) NOT VALID")
