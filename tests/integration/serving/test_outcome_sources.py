"""`waterflow outcomes` and `waterflow predictions`, as they are typed."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from support.projects import copy_database, make_project, message_of
from support.served import QUICK, answered
from typer.testing import CliRunner

from waterflow import workflow
from waterflow.cli.app import app
from waterflow.config.schema import LogConfig
from waterflow.errors import ConfigError, DataError
from waterflow.resources import Resources
from waterflow.serving.prediction_log.sealing import seal_spool
from waterflow.serving.prediction_log.spool import PredictionLog


@pytest.fixture
def resources(tmp_path: Path, tracking_template: Path, monkeypatch: pytest.MonkeyPatch) -> Resources:
    """Open a project of this test alone, in which commands are typed."""
    project = make_project(tmp_path)
    copy_database(project, tracking_template)
    monkeypatch.setenv("WATERFLOW_CONF", str(project.conf))
    monkeypatch.setenv("WATERFLOW_HOME", str(project.home))
    return workflow.open_resources(project)


@pytest.fixture
def ids(resources: Resources) -> list[str]:
    """Record five predictions, and return their ids."""
    log = PredictionLog(resources.project.home / "spool", QUICK)
    rows = answered(5)
    log.append(rows, LogConfig())
    log.close()
    seal_spool(resources.project.home / "spool", resources.store, resources.prediction_index)
    return [f"{rows.id}-{row}" for row in range(5)]


def typed(*words: str, exit_code: int = 0) -> str:
    """Run the command, and return what it prints."""
    done = CliRunner().invoke(app, words)
    assert done.exit_code == exit_code, done.output
    return done.output


def test_outcomes_of_a_file_join_the_table(resources: Resources, ids: list[str], tmp_path: Path) -> None:
    """The ids as the answers had them, and times without a zone in UTC; `predictions` writes both."""
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}"
    rows = pd.DataFrame({"id": ids[:3], "outcome": ["setosa", "virginica", "setosa"], "known_at": now})
    rows.to_csv(tmp_path / "outcomes.csv", index=False)
    assert typed("outcomes", "flowers", str(tmp_path / "outcomes.csv")).splitlines() == [
        "recorded    3",
        "repeated    0",
        "refused     0",
    ]
    assert "repeated    3" in typed("outcomes", "flowers", str(tmp_path / "outcomes.csv"))
    for name in ("back.parquet", "back.csv"):
        assert "3" in typed("predictions", "flowers", "--out", str(tmp_path / name))
    for back in (pd.read_parquet(tmp_path / "back.parquet"), pd.read_csv(tmp_path / "back.csv")):
        assert back["id"].tolist() == ids
        assert back["outcome"].dropna().tolist() == ["setosa", "virginica", "setosa"]


def test_outcomes_of_a_query(resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers stay numbers; a row that is refused makes the command fail, after the others are recorded."""
    with sqlite3.connect(tmp_path / "own.db") as database:
        database.execute("CREATE TABLE paid (customer TEXT, days REAL, at TEXT)")
        values = [("c 1", 12.5, "2026-05-01T00:00:00Z"), ("c 2", None, "2026-05-01T00:00:00Z")]
        database.executemany("INSERT INTO paid VALUES (?, ?, ?)", values)
    monkeypatch.setenv("OWN", f"sqlite:///{tmp_path / 'own.db'}")
    query = "SELECT customer AS key, days AS outcome, at AS known_at FROM paid"
    printed = typed("outcomes", "flowers", query, "--url-env", "OWN", exit_code=1)
    assert "recorded    1" in printed
    assert "outcome 'None' is no label" in printed
    (known,) = resources.prediction_index.find_outcomes(
        "flowers", datetime(2026, 1, 1, tzinfo=UTC), datetime.now(UTC).date()
    )
    assert (known.key, known.outcome) == ("c 1", "12.5")


def test_an_input_that_has_no_outcomes_is_refused(resources: Resources, tmp_path: Path) -> None:
    """The message says which columns there are, and which are valid."""
    (tmp_path / "own.csv").write_text("id,result\nx,1\n")
    read = workflow.record_outcomes_from
    message = message_of(lambda: read("flowers", str(tmp_path / "own.csv"), None, resources), DataError)
    assert "has the columns 'id', 'result'; valid: outcome, known_at, and id or key" in message
    assert "is no file that ends in .csv" in message_of(lambda: read("flowers", "own", None, resources), ConfigError)
