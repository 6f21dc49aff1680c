import sqlite3
from contextlib import closing

import pandas as pd
import pytest
from support.projects import message_of, write_rows

from waterflow.config.project import Project
from waterflow.config.schema import CsvSource, PackageSource, ParquetSource, Source, SqlSource
from waterflow.data.canonical import write_parquet
from waterflow.data.sources.facts import describe_source
from waterflow.data.sources.reading import read_source
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, DataError
from waterflow.stores.open import copy_object

CSV = CsvSource(kind="csv", path="data/rows.csv")
PARQUET = ParquetSource(kind="parquet", path="data/rows.parquet")


def refusal(source: Source, project: Project, kind: type[Exception] = DataError) -> str:
    """Return the line with which a source is refused."""
    return message_of(lambda: read_source(source, project, copy_object), kind)


def test_a_csv_is_read_with_its_separator(project: Project) -> None:
    """A semicolon is one word of YAML away."""
    (project.root / "data" / "rows.csv").write_text("a;b\n1;x\n2;y\n")
    frame = read_source(CsvSource(kind="csv", path="data/rows.csv", separator=";"), project, copy_object).frame
    assert frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}


def test_a_parquet_file_is_read(project: Project) -> None:
    """Types come from the file."""
    iris().to_parquet(project.root / "data" / "rows.parquet")
    pd.testing.assert_frame_equal(read_source(PARQUET, project, copy_object).frame, iris())


def test_a_packaged_data_set_is_read_by_its_loader(project: Project) -> None:
    """Iris needs no file at all."""
    frame = read_source(PackageSource(kind="package", loader="iris"), project, copy_object).frame
    assert frame["species"].value_counts().to_dict() == {"setosa": 50, "versicolor": 50, "virginica": 50}


def test_an_unknown_loader_is_refused_with_the_valid_ones(project: Project) -> None:
    """Only what is listed can be loaded."""
    message = refusal(PackageSource(kind="package", loader="os.system"), project, ConfigError)
    assert "'os.system' is unknown; valid: iris" in message


@pytest.mark.parametrize("source", [CSV, PARQUET])
def test_a_missing_file_is_named_with_where_it_was_looked_for(project: Project, source: Source) -> None:
    """A relative path shows where it starts."""
    message = refusal(source, project)
    assert repr(source.path) in message
    assert str(project.root / source.path) in message


@pytest.mark.parametrize("source", [CSV, PARQUET])
def test_an_empty_file_is_named(project: Project, source: Source) -> None:
    """Nothing at all is no data set of zero rows."""
    (project.root / source.path).touch()
    assert "is empty (0 bytes)" in refusal(source, project)


def test_a_csv_with_a_header_alone_is_refused(project: Project) -> None:
    """Columns without rows teach nothing."""
    (project.root / CSV.path).write_text("a,b\n")
    assert "'data/rows.csv' has no row" in refusal(CSV, project)


def test_a_csv_that_is_a_parquet_is_refused(project: Project) -> None:
    """The ending does not make it text."""
    iris().to_parquet(project.root / CSV.path)
    message = refusal(CSV, project)
    assert "'data/rows.csv' is no CSV" in message
    assert "change kind" in message


def test_a_parquet_that_is_text_is_refused(project: Project) -> None:
    """The ending does not make it Parquet."""
    write_rows(project, iris(), "rows.parquet")
    message = refusal(PARQUET, project)
    assert "'data/rows.parquet' is no Parquet" in message
    assert "change kind" in message


def test_a_csv_that_is_cut_short_is_refused(project: Project) -> None:
    """A quote that is never closed swallows the rest of the file."""
    (project.root / CSV.path).write_text('a,b\n1,"x\n2,y\n')
    assert "is no CSV" in refusal(CSV, project)


def test_a_source_is_described_in_a_word() -> None:
    """Logs name a file by its path and a packaged data set by its loader."""
    assert describe_source(CSV) == "data/rows.csv"
    assert describe_source(PackageSource(kind="package", loader="iris")) == "package:iris"


IDS = [1_582_218_195_625_938_000, None, 1_582_218_195_625_938_001]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_large_integers_keep_every_digit_beside_a_null(project: Project, kind: str) -> None:
    """As floats the two ids would be one number."""
    frame = pd.DataFrame({"parent": pd.array(IDS, dtype="Int64"), "x": [1.5, 2.5, None]})
    path = project.root / "data" / f"rows.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else write_parquet(frame, path)
    read = read_source(CSV if kind == "csv" else PARQUET, project, copy_object).frame
    assert [None if pd.isna(value) else int(value) for value in read["parent"]] == IDS


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_small_integers_beside_a_null_are_floats(project: Project, kind: str) -> None:
    """Nothing is lost, and every estimator takes them."""
    frame = pd.DataFrame({"rooms": pd.array([3, None, 2], dtype="Int64"), "x": [1.5, 2.5, 3.5]})
    path = project.root / "data" / f"rows.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else write_parquet(frame, path)
    read = read_source(CSV if kind == "csv" else PARQUET, project, copy_object).frame
    assert read["rooms"].dtype == "float64"


def test_the_query_of_sql_is_a_fact_and_its_password_is_not(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lineage shows what was asked, by the name of the variable that holds the address."""
    with closing(sqlite3.connect(project.root / "rows.db")) as database:
        iris().to_sql("flowers", database, index=False)
    monkeypatch.setenv("GARDEN", "sqlite:///rows.db")
    source = SqlSource(kind="sql", url_env="GARDEN", query="select * from flowers")
    facts = read_source(source, project, copy_object).facts
    assert facts.to_tags() == {"kind": "sql", "where": "sql:$GARDEN", "query": "select * from flowers"}
