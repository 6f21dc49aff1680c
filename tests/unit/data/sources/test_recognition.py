"""The section `dataset` for what a person names."""

from pathlib import Path
from typing import Any

import pytest
from support.projects import message_of

from waterflow.data.sources.recognition import parse_settings, parse_source, recognise_source
from waterflow.errors import ConfigError, DataError

ROOT = Path("/project")


def recognise(data: str, table: str | None = None, here: Path = ROOT, **reading: Any) -> dict[str, Any]:
    """Recognise what is named in a project's folder."""
    return recognise_source(data, ROOT, here, table, reading)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("data/a.csv.gz", {"kind": "csv", "path": "data/a.csv.gz"}),
        ("/elsewhere/a.parquet", {"kind": "parquet", "path": "/elsewhere/a.parquet"}),
        ("~/a.xlsx", {"kind": "excel", "path": "~/a.xlsx"}),
        ("s3://bucket/2024/*.jsonl", {"kind": "jsonl", "path": "s3://bucket/2024/*.jsonl"}),
        ("https://host/a.csv?key=1", {"kind": "csv", "path": "https://host/a.csv?key=1"}),
        ("select a\nfrom 'x.csv'", {"kind": "duckdb", "query": "select a from 'x.csv'"}),
    ],
)
def test_data_is_recognised(data: str, expected: dict[str, str]) -> None:
    """By its ending, its address or its words."""
    assert recognise(data) == expected
    parse_source(expected)


def test_a_path_is_relative_to_the_project() -> None:
    """Wherever the command is typed."""
    assert recognise("a.csv", here=ROOT / "data")["path"] == "data/a.csv"


def test_a_table_of_a_database() -> None:
    """By URL, by variable or by file; a name with spaces is quoted."""
    assert recognise("sqlite:///x.db", "orders")["query"] == "select * from orders"
    assert recognise("$WAREHOUSE", "my orders") == {
        "kind": "sql",
        "url_env": "WAREHOUSE",
        "query": 'select * from "my orders"',
    }
    assert recognise("x.duckdb", "orders")["database"] == "x.duckdb"
    assert recognise("x.db", "orders", here=ROOT / "data")["url"] == "sqlite:///data/x.db"
    assert recognise("/elsewhere/x.sqlite", "orders")["url"] == "sqlite:////elsewhere/x.sqlite"
    message = message_of(lambda: parse_source(recognise("postgresql://me:secret@host/db")), ConfigError)
    assert "secret" not in message


def test_what_is_no_data_is_refused() -> None:
    """With the endings that are."""
    assert ".parquet" in message_of(lambda: recognise("data/a.docx"), DataError)


def test_settings_are_read_as_in_yaml() -> None:
    """A mark stands for itself."""
    assert parse_settings(["day_first=true", "decimal=,", "na_values=[n/a]"]) == {
        "day_first": True,
        "decimal": ",",
        "na_values": ["n/a"],
    }
    assert "KEY=VALUE" in message_of(lambda: parse_settings(["day_first"]), ConfigError)
    assert message_of(lambda: parse_source(recognise("a.csv", nosuch=1)), ConfigError).startswith("dataset.nosuch")
