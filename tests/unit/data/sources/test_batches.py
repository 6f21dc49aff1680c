import sqlite3
from contextlib import closing
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from support.projects import message_of, write_rows

from waterflow.config.project import Project
from waterflow.config.schema import (
    CsvSource,
    DuckdbSource,
    ExcelSource,
    JsonLinesSource,
    PackageSource,
    ParquetSource,
    Source,
    SqlSource,
)
from waterflow.data.column_types import type_columns
from waterflow.data.reading_rules import ReadingRules
from waterflow.data.sources.batches import iterate_source
from waterflow.data.sources.reading import read_source
from waterflow.datasets.loaders import iris
from waterflow.errors import DataError
from waterflow.stores.open import copy_object

SOURCES: dict[str, Source] = {
    "csv": CsvSource(kind="csv", path="data/flowers.csv"),
    "csv in gz": CsvSource(kind="csv", path="data/rows.csv.gz", separator=";"),
    "csv files": CsvSource(kind="csv", path="data/part-*.csv"),
    "parquet": ParquetSource(kind="parquet", path="data/rows.parquet"),
    "parquet by folder": ParquetSource(kind="parquet", path="data/parts"),
    "jsonl": JsonLinesSource(kind="jsonl", path="data/rows.jsonl"),
    "excel": ExcelSource(kind="excel", path="data/rows.xlsx"),
    "duckdb": DuckdbSource(kind="duckdb", query="select * from 'data/rows.parquet'"),
    "sql": SqlSource(kind="sql", url="sqlite:///data/rows.db", query="select * from flowers"),
    "package": PackageSource(kind="package", loader="iris"),
}


def batches(project: Project, source: Source, rows: int = 40) -> list[pa.Table]:
    """Return the batches of a source."""
    return list(iterate_source(source, project, copy_object, rows))


def write_all(project: Project) -> None:
    """Write the same rows in every form."""
    frame, data = iris(), project.root / "data"
    frame.to_csv(data / "rows.csv.gz", sep=";", index=False)
    write_rows(project, frame[:60], "part-1.csv")
    write_rows(project, frame[60:], "part-2.csv")
    frame.to_parquet(data / "rows.parquet")
    for name, part in (("a", frame[:70]), ("b", frame[70:])):
        (data / "parts" / f"name={name}").mkdir(parents=True)
        part.to_parquet(data / "parts" / f"name={name}" / "rows.parquet")
    frame.to_json(data / "rows.jsonl", orient="records", lines=True)
    frame.to_excel(data / "rows.xlsx", index=False)
    with closing(sqlite3.connect(data / "rows.db")) as connection:
        frame.to_sql("flowers", connection, index=False)


@pytest.mark.parametrize("name", SOURCES)
def test_the_batches_of_a_source_are_its_rows(name: str, project: Project) -> None:
    """In their order, under the names and types with which the whole source is read."""
    write_all(project)
    source = SOURCES[name]
    tables = [
        type_columns(table, ReadingRules.of_source(source), detect=table.column_names).table
        for table in batches(project, source)
    ]
    expected = read_source(source, project, copy_object).frame
    pd.testing.assert_frame_equal(pa.concat_tables(tables).to_pandas(), expected)


@pytest.mark.parametrize("name", ["parquet", "jsonl", "duckdb", "sql", "package", "excel"])
def test_a_batch_has_as_many_rows_as_asked_for(name: str, project: Project) -> None:
    """So memory is bounded. Blocks of CSV files are bounded in bytes."""
    write_all(project)
    sizes = [len(table) for table in batches(project, SOURCES[name])]
    assert sum(sizes) == 150
    assert max(sizes) <= 40 or name == "duckdb"  # whose vectors are larger


@pytest.mark.parametrize(
    ("content", "said"),
    [("a,b\n1,2\n3\n", "line 3"), ('a,b\n1,"2\n', "a quote is never closed"), ("", "is empty")],
)
def test_a_broken_csv_is_refused_as_when_it_is_read_as_a_whole(content: str, said: str, project: Project) -> None:
    """The message is the same."""
    (project.root / "data" / "rows.csv").write_text(content)
    source = CsvSource(kind="csv", path="data/rows.csv")
    found = message_of(lambda: batches(project, source), DataError)
    assert said in found
    assert found == message_of(lambda: read_source(source, project, copy_object), DataError)


def test_a_file_of_another_kind_is_named(project: Project) -> None:
    """As when the whole source is read."""
    source: Any = ParquetSource(kind="parquet", path="data/flowers.csv")
    assert "is no Parquet" in message_of(lambda: batches(project, source), DataError)
