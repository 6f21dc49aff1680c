"""Rows of a DuckDB query over files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from waterflow.config.schema import DuckdbSource
from waterflow.data.sources.files import resolve_path
from waterflow.errors import DataError, first_line

TABLES = """
select table_name as name from duckdb_tables() where database_name = 'db'
union select view_name from duckdb_views() where database_name = 'db' and not internal order by 1
"""


def read_duckdb(source: DuckdbSource, root: Path) -> pa.Table:
    """Return the rows of a query. Relative paths in it start at `root`, and no extension is downloaded.

    Raises DataError when DuckDB refuses the query.
    """
    with _run(source, root) as relation:
        return relation.to_arrow_table()


def iterate_duckdb(source: DuckdbSource, root: Path, batch_rows: int) -> Iterator[pa.Table]:
    """Yield the rows of a query in batches. Raises what `read_duckdb` raises."""
    with _run(source, root) as relation:
        for batch in relation.to_arrow_reader(batch_rows):
            yield pa.Table.from_batches([batch])


def list_duckdb_tables(source: DuckdbSource, root: Path) -> list[str]:
    """Return the names of a database's tables and views. Raises what `read_duckdb` raises."""
    found = source.model_copy(update={"query": TABLES})
    return [str(name) for name in read_duckdb(found, root).column("name").to_pylist()]


@contextmanager
def _run(source: DuckdbSource, root: Path) -> Iterator[Any]:
    import duckdb

    settings = {"autoinstall_known_extensions": False, "file_search_path": str(root)}
    with duckdb.connect(":memory:", config=settings) as connection:
        try:
            if source.database:
                path = str(resolve_path(source.database, root)).replace("'", "''")
                connection.execute(f"attach '{path}' as db (read_only); use db")
            relation = connection.sql(source.query)
            if twice := [name for name in relation.columns if relation.columns.count(name) > 1]:
                raise DataError(f"dataset.query: it returns column {twice[0]!r} twice; name each column once")
            yield relation
        except duckdb.Error as error:
            raise DataError(f"dataset.query: DuckDB refuses it ({first_line(error)}); fix the query") from error
