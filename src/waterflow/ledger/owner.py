"""Set-up of the ledger by its owner. No task sees that role's password.

`python -m waterflow.ledger.owner OWNER_URL_FILE WRITER_URL_FILE` runs at every start of the stack. Tasks may read
the tables and insert rows, and nothing else.
"""

import sys
from pathlib import Path

from sqlalchemy import make_url, text

from waterflow.errors import WaterflowError
from waterflow.ledger.database import open_engine
from waterflow.ledger.migrate import ensure_tables
from waterflow.ledger.tables import SCHEMA, decisions, looks, projections

WRITTEN = (decisions, looks, projections)


def set_up(owner_url: str, writer: str) -> None:
    """Migrate the tables and set the writer's rights. Whatever else it was granted is revoked."""
    engine, _ = open_engine(owner_url)
    ensure_tables(engine)
    role = engine.dialect.identifier_preparer.quote(writer)
    with engine.begin() as connection:
        connection.execute(text(f"REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC, {role}"))
        connection.execute(text(f"REVOKE ALL ON ALL TABLES IN SCHEMA {SCHEMA} FROM PUBLIC, {role}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA {SCHEMA} TO {role}"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO {role}"))
        for table in WRITTEN:
            connection.execute(text(f"GRANT INSERT ON {SCHEMA}.{table.name} TO {role}"))


def main(owner_url_file: str, writer_url_file: str) -> None:
    """Set up the ledger with the addresses in two files. An error is one line."""
    owner, writer = (Path(name).read_text("utf-8").strip() for name in (owner_url_file, writer_url_file))
    try:
        set_up(owner, str(make_url(writer).username))
    except WaterflowError as error:
        sys.exit(f"error: {error}")
    print("ledger: tables and rights are up to date")


if __name__ == "__main__":
    main(*sys.argv[1:])
