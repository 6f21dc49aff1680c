"""Migrating the ledger's tables, safely from many processes at once."""

from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from waterflow.errors import LedgerError
from waterflow.ledger.tables import SCHEMA
from waterflow.waiting import announced

HEAD = "0004"  # the newest revision in migrations/versions
# Optuna's tables lie in the same database and have a version table of their own.
VERSION_TABLE = "waterflow_ledger_version"
BEFORE_SCHEMA = ("waterflow_ledger", "waterflow_ledger_projection", "waterflow_look", VERSION_TABLE)
LOCK = 5_724_101_855  # any number that nothing else uses for an advisory lock


def ensure_tables(engine: Engine) -> None:
    """Create the tables or migrate them to the newest revision.

    Nothing is done where they have it already. One query tells. Raises LedgerError when a newer Waterflow made them, or
    when this role may not migrate them.
    """
    with engine.connect() as connection:
        if revision_of(connection) == HEAD:
            return
    from alembic.util.exc import CommandError  # half a second, and needed once

    with engine.connect() as connection:
        lock_tables(connection)
        try:
            upgrade(connection)
        except CommandError as error:
            raise LedgerError(
                f"ledger: its tables are of revision {revision_of(connection)!r}, which this version of Waterflow "
                f"does not know (its own: {HEAD!r}); install the newer Waterflow that made them"
            ) from error
        except ProgrammingError as error:
            if "permission denied" not in str(error.orig):
                raise
            connection.rollback()
            raise LedgerError(
                f"ledger: its tables are of revision {revision_of(connection)!r}, this version of Waterflow needs "
                f"{HEAD!r}, and {engine.url.username!r} may not migrate them; `docker compose up airflow-init` does"
            ) from error
        connection.commit()


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the tables; None without any."""
    table = VERSION_TABLE if connection.dialect.name == "sqlite" else f"{SCHEMA}.{VERSION_TABLE}"
    try:
        return connection.execute(text(f"SELECT version_num FROM {table}")).scalar()  # noqa: S608
    except (ProgrammingError, OperationalError):  # no such table
        connection.rollback()
        return None


def lock_tables(connection: Connection) -> None:
    """Lock the tables for this transaction."""
    with announced("the ledger's lock, which another process holds"):
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = str(Path(__file__).parent / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    if connection.dialect.name == "postgresql":
        _enter_schema(connection)
    command.upgrade(config, revision)


def _enter_schema(connection: Connection) -> None:
    """Work in the ledger's schema until the commit. Tables from before it are moved into it."""
    connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    if connection.execute(text(f"SELECT to_regclass('{SCHEMA}.{VERSION_TABLE}')")).scalar() is None:
        for table in BEFORE_SCHEMA:
            connection.execute(text(f"ALTER TABLE IF EXISTS public.{table} SET SCHEMA {SCHEMA}"))
    connection.execute(text(f"SET LOCAL search_path = {SCHEMA}"))
