"""Rows of a DuckDB query over files."""

from pathlib import Path

import pyarrow as pa

from waterflow.config.schema import DuckdbSource
from waterflow.errors import DataError, first_line


def read_duckdb(source: DuckdbSource, root: Path) -> pa.Table:
    """Return the rows of a query. Relative paths in it start at `root`, and no extension is downloaded.

    Raises DataError when DuckDB refuses the query.
    """
    import duckdb

    settings = {"autoinstall_known_extensions": False, "file_search_path": str(root)}
    with duckdb.connect(":memory:", config=settings) as connection:
        try:
            table = connection.sql(source.query).to_arrow_table()
        except duckdb.Error as error:
            raise DataError(f"dataset.query: DuckDB refuses it ({first_line(error)}); fix the query") from error
    names = table.column_names
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"dataset.query: it returns column {twice[0]!r} twice; name each column once")
    return table
