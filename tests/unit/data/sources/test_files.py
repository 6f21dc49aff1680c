"""Files of other kinds than CSV, several files, and queries over them."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.projects import message_of
from support.reading import columns, load, refusal

from waterflow.config.project import Project
from waterflow.config.schema import CsvSource, DuckdbSource, ExcelSource, JsonLinesSource, ParquetSource
from waterflow.errors import ConfigError


def write_parquet(project: Project, name: str, **values: Any) -> Path:
    """Write a Parquet file below `data/`."""
    path = project.root / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(values), path)
    return path


def parquet(path: str) -> ParquetSource:
    """Make a source of Parquet files."""
    return ParquetSource(kind="parquet", path=path)


# Several files


@pytest.mark.parametrize("path", ["data/days", "data/days/*.parquet", "data/*/*.parquet"])
def test_files_of_a_folder_or_a_pattern_are_one_data_set(project: Project, path: str) -> None:
    """In the order of their names, with a digest of all."""
    write_parquet(project, "days/2.parquet", x=[3.5])
    write_parquet(project, "days/1.parquet", x=[1, 2])
    for hidden in ("_part.parquet", ".part.parquet"):  # of jobs that have not finished
        (project.root / "data" / "days" / hidden).touch()
    loaded = load(project, parquet(path))
    assert loaded.frame["x"].tolist() == [1, 2, 3.5]
    assert loaded.facts.files == 2
    first = loaded.facts.digest
    write_parquet(project, "days/2.parquet", x=[4.5])
    assert load(project, parquet(path)).facts.digest != first


def test_a_folder_without_data_files_is_refused(project: Project) -> None:
    """With the endings that were looked for."""
    (project.root / "data" / "days").mkdir(parents=True)
    (project.root / "data" / "days" / "notes.md").touch()
    message = refusal(project, parquet("data/days"))
    assert "folder 'data/days' has no file that ends in .parquet, .pq (looked below " in message


def test_folders_that_name_a_column_add_it(project: Project) -> None:
    """As Hive and Spark partition, with types as in a CSV file."""
    write_parquet(project, "sales/year=2023/region=eu/a.parquet", x=[1])
    write_parquet(project, "sales/year=2024/region=us/b.parquet", x=[2])
    assert columns(project, parquet("data/sales")) == {"x": [1, 2], "year": [2023, 2024], "region": ["eu", "us"]}
    one = columns(project, parquet("data/sales/year=2024/region=us/b.parquet"))
    assert one == {"x": [2]}  # a file alone is read as it is


def test_a_column_beside_a_folder_of_its_name_stays(project: Project) -> None:
    """The file knows better."""
    write_parquet(project, "rows/year=2024/a.parquet", x=[1], year=[2023])
    assert columns(project, parquet("data/rows/year=2024/a.parquet"))["year"] == [2023]
    assert columns(project, parquet("data/rows"))["year"] == [2023]


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        ({"x": [1], "z": [2]}, "'data/days/1.parquet' has a column 'y', 'data/days/2.parquet' has not"),
        ({"x": [1], "y": ["a"]}, "column 'y' is int64 in 'data/days/1.parquet' and string in 'data/days/2.parquet'"),
    ],
)
def test_files_that_differ_are_named_with_the_column(project: Project, second: dict[str, Any], reason: str) -> None:
    """Two files would have to be one table."""
    write_parquet(project, "days/1.parquet", x=[1], y=[2])
    write_parquet(project, "days/2.parquet", **second)
    assert reason in refusal(project, parquet("data/days"))


def test_csv_files_together_have_one_type_for_a_column(project: Project) -> None:
    """Although the first alone would hold numbers, and whatever the order of their columns."""
    (project.root / "data" / "1.csv").write_text("k,x\n1,5\n")
    (project.root / "data" / "2.csv").write_text("x,k\n6,2A\n")
    assert columns(project, CsvSource(kind="csv", path="data/[0-9].csv")) == {"k": ["1", "2A"], "x": [5, 6]}


def test_a_pattern_without_a_file_is_named(project: Project) -> None:
    """With the folder that was looked in."""
    message = refusal(project, parquet("data/days/*.parquet"))
    assert "no file matches 'data/days/*.parquet'" in message


def test_a_path_may_start_at_the_home_of_the_user(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a shell."""
    write_parquet(project, "home.parquet", x=[1])
    monkeypatch.setenv("HOME", str(project.root / "data"))
    assert columns(project, parquet("~/home.parquet")) == {"x": [1]}
    message = message_of(lambda: load(project, parquet("~nobody-of-that-name/x.parquet")), ConfigError)
    assert "names no user's home" in message


# Parquet


def test_an_index_with_a_name_is_a_column(project: Project) -> None:
    """One without is none."""
    path = project.root / "data" / "rows.parquet"
    pd.DataFrame({"x": [1, 2]}, index=pd.Index(["a", "b"], name="key")).to_parquet(path)
    assert columns(project, parquet("data/rows.parquet")) == {"x": [1, 2], "key": ["a", "b"]}
    pd.DataFrame({"x": [1, 2]}, index=[7, 9]).to_parquet(path)
    assert columns(project, parquet("data/rows.parquet")) == {"x": [1, 2]}


def test_times_of_spark_keep_their_year(project: Project) -> None:
    """9999-12-31 as nanoseconds would be 1816."""
    table = pa.table({"end": pa.array([datetime(9999, 12, 31)], pa.timestamp("us"))})
    pq.write_table(table, project.root / "data" / "rows.parquet", use_deprecated_int96_timestamps=True)
    assert columns(project, parquet("data/rows.parquet"))["end"] == [datetime(9999, 12, 31)]


def test_types_of_pandas_itself_are_read(project: Project) -> None:
    """Nullable, categorical, backed by Arrow."""
    frame = pd.DataFrame(
        {
            "integer": pd.array([1, None], "Int64"),
            "flag": pd.array([True, None], "boolean"),
            "plan": pd.Categorical(["a", "b"]),
            "arrow": pd.array([1.5, 2.5], "double[pyarrow]"),
        }
    )
    frame.to_parquet(project.root / "data" / "rows.parquet")
    loaded = load(project, parquet("data/rows.parquet"))
    assert loaded.facts.types == {"integer": "integer", "flag": "boolean", "plan": "text", "arrow": "number"}
    assert loaded.frame["plan"].tolist() == ["a", "b"]


# JSON lines, Excel, DuckDB


def test_json_lines_keep_their_types(project: Project) -> None:
    """Text of digits is text, and a large integer beside a null keeps every digit."""
    rows = [{"zip": "08003", "id": 2**60 + 1, "x": 1.5}, {"zip": "8003", "id": None, "x": 2}]
    (project.root / "data" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    held = columns(project, JsonLinesSource(kind="jsonl", path="data/rows.jsonl"))
    assert (held["zip"], held["id"][0], held["x"]) == (["08003", "8003"], 2**60 + 1, [1.5, 2])


def test_nested_json_is_named_by_column(project: Project) -> None:
    """An object is no single value."""
    (project.root / "data" / "rows.jsonl").write_text('{"x": 1, "tags": ["a"]}\n')
    source = JsonLinesSource(kind="jsonl", path="data/rows.jsonl")
    assert "column 'tags' holds list" in refusal(project, source)
    assert load(project, source, unused=frozenset(["tags"])).left_out == ("tags",)


def test_what_is_no_json_is_refused(project: Project) -> None:
    """With the reader's own reason."""
    (project.root / "data" / "rows.jsonl").write_text("a,b\n1,2\n")
    assert "is no JSON lines" in refusal(project, JsonLinesSource(kind="jsonl", path="data/rows.jsonl"))


def workbook(project: Project, *sheets: list[list[Any]]) -> None:
    """Write `data/book.xlsx`; its sheets are called Sheet, Sheet1 and so on."""
    from openpyxl import Workbook  # here alone

    book = Workbook()
    for number, rows in enumerate(sheets):
        sheet = book.active if number == 0 else book.create_sheet()
        for row in rows:
            sheet.append(row)
    book.save(project.root / "data" / "book.xlsx")


def excel(**keys: Any) -> ExcelSource:
    """Make a source of that workbook."""
    return ExcelSource(kind="excel", path="data/book.xlsx", **keys)


def test_a_sheet_is_read_with_its_types(project: Project) -> None:
    """Numbers, text with zeros, times, gaps, and cells with an error as null."""
    rows = [["zip", "n", "x", "day"], ["08003", 1, 1.5, date(2024, 1, 31)], ["8003", None, "#N/A", date(2024, 2, 1)]]
    workbook(project, rows)
    frame = load(project, excel()).frame
    assert frame["zip"].tolist() == ["08003", "8003"]
    assert frame["x"].isna().tolist() == [False, True]
    assert frame["day"].tolist()[0] == pd.Timestamp("2024-01-31")


def test_one_of_several_sheets_is_named(project: Project) -> None:
    """There is no first one that is meant."""
    workbook(project, [["a"], [1]], [["title"], ["b"], [2]])
    assert "has several sheets; valid: Sheet, Sheet1" in refusal(project, excel())
    assert columns(project, excel(sheet="Sheet1", skip_rows=1)) == {"b": [2]}


def test_what_is_no_workbook_is_refused(project: Project) -> None:
    """Neither as a file nor by its header."""
    (project.root / "data" / "book.xlsx").write_text("a,b\n1,2\n")
    assert "is no Excel workbook" in refusal(project, excel())
    workbook(project, [["a", "a"], [1, 2]])
    assert "names 'a' twice" in refusal(project, excel())


def test_a_query_joins_files(project: Project) -> None:
    """Paths start at the project."""
    write_parquet(project, "orders.parquet", id=[1, 2], customer=[7, 8], amount=np.array([2.5, 3.5]))
    (project.root / "data" / "customers.csv").write_text("customer,country\n7,DE\n8,FR\n")
    query = (
        "select id, amount, country from 'data/orders.parquet' join 'data/customers.csv' using (customer) order by id"
    )
    loaded = load(project, DuckdbSource(kind="duckdb", query=query))
    assert loaded.frame.to_dict("list") == {"id": [1, 2], "amount": [2.5, 3.5], "country": ["DE", "FR"]}
    assert loaded.facts.query == query


@pytest.mark.parametrize("query", ["selekt", "select * from 'data/none.csv'", "select 1 as a, 2 as a"])
def test_a_query_that_cannot_be_answered_is_one_line(project: Project, query: str) -> None:
    """With DuckDB's own reason, or the column."""
    assert refusal(project, DuckdbSource(kind="duckdb", query=query)).startswith("dataset.query:")
