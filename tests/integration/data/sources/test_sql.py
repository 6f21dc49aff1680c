import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError
from support.projects import free_port, message_of

from waterflow.config.project import Project
from waterflow.config.schema import SqlSource
from waterflow.data.sources.facts import describe_source
from waterflow.data.sources.reading import read_source
from waterflow.data.sources.sql import read_sql
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, DataError, UnreachableError
from waterflow.stores.open import copy_object

SECRET = "open-sesame"


@pytest.fixture
def database(project: Project) -> Path:
    """Make an SQLite database with the irises."""
    path = project.root / "data" / "garden.db"
    with sqlite3.connect(path) as connection:
        iris().to_sql("flowers", connection, index=False)
    connection.close()
    return path


def garden(query: str) -> SqlSource:
    """Ask the garden's database."""
    return SqlSource(kind="sql", url="sqlite:///data/garden.db", query=query)


@pytest.mark.usefixtures("database")
def test_the_rows_of_a_query_are_read(project: Project) -> None:
    """A relative path of SQLite starts at the project."""
    frame = read_source(garden("select * from flowers"), project, copy_object).frame
    pd.testing.assert_frame_equal(frame, iris())


@pytest.mark.usefixtures("database")
def test_a_query_is_sent_as_it_is_written(project: Project) -> None:
    """A percent sign or a colon in it is no parameter."""
    query = "select species, ':when' as note from flowers where species like '%tosa' and 7 % 2 = 1"
    frame = read_source(garden(query), project, copy_object).frame
    assert len(frame) == 50
    assert frame["note"].unique().tolist() == [":when"]


def test_a_query_changes_nothing(project: Project, database: Path) -> None:
    """What it deletes is there afterwards."""
    read_source(garden("delete from flowers returning species"), project, copy_object)
    assert len(read_source(garden("select * from flowers"), project, copy_object).frame) == 150
    assert database.is_file()


@pytest.mark.usefixtures("database")
def test_values_of_a_query_have_one_type_for_a_column(project: Project) -> None:
    """Integers keep every digit beside nulls, and a number beside a word is a word."""
    query = "select 9007199254740993 as id, 1 as mixed union all select null, 'two'"
    frame = read_source(garden(query), project, copy_object).frame
    assert frame["id"].tolist()[0] == 9007199254740993
    assert frame["mixed"].tolist() == ["1", "two"]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("select * from roses", "no such table: roses"),
        ("selekt", 'near "selekt": syntax error'),
        ("update flowers set species = 'x'", "it returns no rows; write a SELECT"),
        ("select species, species from flowers", "it returns column 'species' twice"),
        ("select * from flowers where 1 = 2", "has no row"),
    ],
)
def test_a_query_without_rows_is_one_line(project: Project, query: str, reason: str) -> None:
    """With the database's own reason."""
    assert reason in message_of(lambda: read_source(garden(query), project, copy_object), DataError)


def test_a_database_file_that_is_not_there_is_named(project: Project) -> None:
    """SQLite would make an empty one."""
    message = message_of(lambda: read_source(garden("select 1"), project, copy_object), DataError)
    assert "'data/garden.db' is no file" in message
    assert not (project.root / "data" / "garden.db").exists()


@pytest.mark.usefixtures("database")
def test_the_address_may_stand_in_a_variable_or_in_a_file(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret's file ends with a line break."""
    source = SqlSource(kind="sql", url_env="GARDEN", query="select * from flowers")
    missing = message_of(lambda: read_source(source, project, copy_object), ConfigError)
    assert "'GARDEN' is not set" in missing
    assert "GARDEN_FILE" in missing
    monkeypatch.setenv("GARDEN_FILE", str(tmp_path / "none"))
    assert "cannot be read" in message_of(lambda: read_source(source, project, copy_object), ConfigError)
    (tmp_path / "url").write_text("sqlite:///data/garden.db\n")
    monkeypatch.setenv("GARDEN_FILE", str(tmp_path / "url"))
    assert len(read_source(source, project, copy_object).frame) == 150
    monkeypatch.setenv("GARDEN", "sqlite:///data/none.db")
    assert "none.db" in message_of(lambda: read_source(source, project, copy_object), DataError)


@pytest.mark.parametrize(
    ("url", "kind", "reason"),
    [
        ("postgresql://me:{secret}@127.0.0.1:{port}/db", UnreachableError, "me@127.0.0.1:{port}/db does not answer"),
        ("postgresql+psycopg2://me:{secret}@127.0.0.1:{port}/db", UnreachableError, "Connection refused"),
        ("postgresql://me:{secret}@host:port/db", ConfigError, "no database URL"),
        ("me:{secret}@host/db", ConfigError, "no database URL"),
        ("postgresql://me:x@{secret}@host/db", ConfigError, "write %40 in its place"),
        ("mysql+nodriver://me:{secret}@host/db", ConfigError, "no driver for 'mysql+nodriver'"),
        ("postgresql://me@127.0.0.1:{port}/db?password={secret}", UnreachableError, "does not answer"),
    ],
)
def test_no_error_shows_the_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, kind: type[Exception], reason: str
) -> None:
    """Neither its line nor the traceback that `--debug` prints."""
    port = str(free_port())
    monkeypatch.setenv("GARDEN", url.format(secret=SECRET, port=port))
    source = SqlSource(kind="sql", url_env="GARDEN", query="select 1")
    assert reason.format(port=port) in message_of(lambda: read_sql(source, tmp_path), kind)
    assert SECRET not in chain_of(lambda: read_sql(source, tmp_path))


def chain_of(call: Callable[[], object]) -> str:
    """Return what Python prints of the error that a call raises, with all its causes."""
    try:
        call()
    except Exception as error:
        return "".join(traceback.format_exception(error))
    raise AssertionError("no error was raised")


@pytest.mark.parametrize(
    "address", ["me:open@host/db", "me:open/se@host/db", "me:@pen@host/db", "host/db?password=open"]
)
def test_a_password_has_no_place_in_the_pipeline(address: str) -> None:
    """The configuration is stored with every run."""
    with pytest.raises(ValidationError, match="url_env"):
        SqlSource(kind="sql", url=f"postgresql://{address}", query="select 1")


def test_a_database_is_described_without_what_may_be_secret() -> None:
    """By its address without options, or by the variable that holds it."""
    plain = SqlSource(kind="sql", url="postgresql://me@host/db?sslmode=require", query="select 1")
    assert describe_source(plain) == "sql:postgresql://host/db"
    assert describe_source(SqlSource(kind="sql", url_env="GARDEN", query="select 1")) == "sql:$GARDEN"
