"""Set-up of the ledger by its owner. No task sees that role's password.

`python -m waterflow.ledger.owner OWNER_URL_FILE WRITER_URL_FILE [SERVER_URL_FILE]` runs at every start of the stack.
Tasks may read the tables, insert rows and forget outcomes that have expired. The service that answers requests may
read, and insert into its own tables. Nobody may do anything else.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, Table, make_url, text

from waterflow.errors import WaterflowError
from waterflow.ledger.database import open_engine
from waterflow.ledger.migrate import ensure_tables
from waterflow.ledger.tables import SCHEMA, decisions, looks, outcomes, projections, segments, served_workers

SERVED = (segments, served_workers, outcomes)
WRITTEN = (decisions, looks, projections, *SERVED)


def set_up(owner_url: str, writer: str, server: str | None = None) -> None:
    """Migrate the tables and set the roles' rights. Whatever else they were granted is revoked."""
    engine, _ = open_engine(owner_url)
    ensure_tables(engine)
    quote = engine.dialect.identifier_preparer.quote
    with engine.begin() as connection:
        for role, written in ((writer, WRITTEN), (server, SERVED)):
            if role is not None:
                _grant(connection, quote(role), written)
        connection.execute(text(f"GRANT DELETE ON {SCHEMA}.{outcomes.name} TO {quote(writer)}"))


def _grant(connection: Connection, role: str, written: Sequence[Table]) -> None:
    """Let a role read all tables and insert into some."""
    connection.execute(text(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC, {role}"))
    connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM PUBLIC, {role}"))
    connection.execute(text(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}"))
    connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {role}"))
    for table in written:
        connection.execute(text(f"GRANT INSERT ON {SCHEMA}.{table.name} TO {role}"))


def main(*url_files: str) -> None:
    """Set up the ledger with the addresses in some files. An error is one line."""
    owner, *others = (Path(name).read_text("utf-8").strip() for name in url_files)
    try:
        set_up(owner, *(str(make_url(url).username) for url in others))
    except WaterflowError as error:
        sys.exit(f"error: {error}")
    print("ledger: tables and rights are up to date")


if __name__ == "__main__":
    main(*sys.argv[1:])
