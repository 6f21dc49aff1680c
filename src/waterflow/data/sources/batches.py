"""The rows of a source in batches, in bounded memory.

Excel workbooks, packages, functions and DVC are read as a whole and cut: their readers know no other way.
"""

import itertools
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json
import pyarrow.parquet as pq

from waterflow.config.project import Project
from waterflow.config.schema import (
    CsvSource,
    DuckdbSource,
    DvcSource,
    FileSource,
    JsonLinesSource,
    PackageSource,
    ParquetSource,
    PythonSource,
    Source,
    SqlSource,
)
from waterflow.data.sources.csv_files import (
    OtherWidth,
    check_quotes,
    csv_options,
    find_layout,
    name_columns,
    open_bytes,
    without_empty,
    wrong_width,
)
from waterflow.data.sources.duckdb_query import iterate_duckdb
from waterflow.data.sources.dvc import read_dvc
from waterflow.data.sources.files import (
    INDEX,
    NAMES,
    UNREADABLE,
    CopyObject,
    download_file,
    find_files,
    parse_file,
    partitions_of,
    shown_path,
    with_partitions,
)
from waterflow.data.sources.package import read_package
from waterflow.data.sources.python import read_python
from waterflow.data.sources.sql import iterate_sql
from waterflow.errors import DataError, first_line
from waterflow.records.run import Window


def iterate_source(
    source: Source, project: Project, copy_object: CopyObject, batch_rows: int, window: Window | None = None
) -> Iterator[pa.Table]:
    """Yield the rows of a source in batches.

    A batch has about `batch_rows`; of CSV files, about four megabytes. They have the types of the source; columns of
    CSV files are text. Raises what reading the whole source raises.
    """
    match source:
        case SqlSource():
            yield from iterate_sql(source, project.root, batch_rows)
        case DuckdbSource():
            yield from iterate_duckdb(source, project.root, batch_rows)
        case PackageSource():
            yield from _cut(pa.Table.from_pandas(read_package(source, project.home), preserve_index=False), batch_rows)
        case PythonSource():
            yield from _cut(read_python(source, window), batch_rows)
        case DvcSource():
            yield from _cut(read_dvc(source, project.root)[0].table, batch_rows)
        case _:
            yield from _iterate_files(source, project.root, copy_object, batch_rows)


def _cut(table: pa.Table, batch_rows: int) -> Iterator[pa.Table]:
    for start in range(0, len(table), batch_rows):
        yield table.slice(start, batch_rows)


def _iterate_files(source: FileSource, root: Path, copy_object: CopyObject, batch_rows: int) -> Iterator[pa.Table]:
    if "://" in source.path:
        with tempfile.TemporaryDirectory(prefix="waterflow-") as folder:
            path, name = download_file(source, Path(folder), copy_object)
            yield from _iterate_file(path, source, name, batch_rows)
        return
    for path in find_files(source, root):
        partitions = partitions_of(path, source, root)
        for table in _iterate_file(path, source, shown_path(path, root), batch_rows):
            yield with_partitions(table, partitions)


def _iterate_file(path: Path, source: FileSource, name: str, batch_rows: int) -> Iterator[pa.Table]:
    if path.stat().st_size == 0:
        raise DataError(f"dataset.path: {name!r} is empty (0 bytes); fill it or point to another")
    try:
        match source:
            case CsvSource():
                yield from _iterate_csv(path, source, name)
            case ParquetSource():
                with pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as file:
                    names = [entry for entry in file.schema_arrow.names if not entry.startswith(INDEX)]
                    for batch in file.iter_batches(batch_rows, columns=names):
                        yield pa.Table.from_batches([batch])
            case JsonLinesSource():
                with path.open("rb") as file:
                    while lines := list(itertools.islice(file, batch_rows)):
                        content = b"".join(lines)
                        options = pyarrow.json.ReadOptions(block_size=max(1 << 20, len(content) + 1))
                        yield pyarrow.json.read_json(BytesIO(content), options)
            case _:
                yield from _cut(parse_file(path, source, name).table, batch_rows)
    except UNREADABLE as error:
        raise DataError(
            f"dataset.path: {name!r} is no {NAMES[source.kind]} ({first_line(error)}); fix the file or change kind"
        ) from error


def _iterate_csv(path: Path, source: CsvSource, name: str) -> Iterator[pa.Table]:
    """Yield blocks of a CSV file. Their size is in bytes."""
    layout = find_layout(path, source, name)
    names = [str(position) for position in range(len(layout.header))]
    wrong: list[OtherWidth] = []
    table = None
    with open_bytes(path, source) as file:
        for batch in pacsv.open_csv(file, **csv_options(source, layout, names, wrong, in_order=True)):
            if wrong:
                raise wrong_width(wrong[0], layout, name)
            table = pa.table([without_empty(pa.chunked_array([column])) for column in batch.columns], names)
            yield name_columns(table, layout.header, name)[0]
    if wrong:
        raise wrong_width(wrong[0], layout, name)
    if table is not None:
        check_quotes(table, layout, name)
