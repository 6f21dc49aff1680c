"""The tables of a database."""

from pathlib import Path

from waterflow.config.schema import DuckdbSource, Source, SqlSource
from waterflow.config.suggestions import list_valid
from waterflow.data.sources.duckdb_query import list_duckdb_tables
from waterflow.data.sources.facts import describe_source
from waterflow.data.sources.sql import list_sql_tables
from waterflow.errors import ConfigError


def check_table(source: Source, table: str | None, root: Path) -> None:
    """Raise ConfigError unless a database has the table. The message lists those that it has.

    Names with a schema, such as `sales.orders`, are left to the database. Other sources need no table.
    """
    if isinstance(source, SqlSource):
        name, known = describe_source(source).removeprefix("sql:"), list_sql_tables(source, root)
    elif isinstance(source, DuckdbSource) and source.database:
        name, known = source.database, list_duckdb_tables(source, root)
    else:
        return
    if not table:
        listed = ", ".join(known) or "none"
        raise ConfigError(f"--table: {name!r} is a database; name one of its tables, such as --table NAME: {listed}")
    if "." not in table and table.casefold() not in {entry.casefold() for entry in known}:
        raise ConfigError(f"--table: {table!r} is no table of {name!r}; {list_valid(table, known)}")
