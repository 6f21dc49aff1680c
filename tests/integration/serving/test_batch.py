"""Batch scoring of a champion, from a file or its own data set to a file."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.commands import command_in
from support.projects import message_of, write_rows
from support.serving import clients, train_champion, write_clients

from waterflow.config.compose import compose_pipeline
from waterflow.errors import ConfigError, ContractError, DataError
from waterflow.records.batch import BatchRequest, BatchScored
from waterflow.records.run import Window
from waterflow.resources import Resources
from waterflow.serving import batch
from waterflow.serving.batch import score_batch
from waterflow.serving.champions import find_champion
from waterflow.serving.interval_scoring import score_interval
from waterflow.serving.model_cache import ModelCache
from waterflow.serving.model_loading import load_served

NAME = "dated_clients"
BLOCKS = [
    {"select": {"type": "numeric"}, "impute": "median", "scale": "standard"},
    {"select": {"names": ["city"]}, "encode": "onehot"},
]


@pytest.fixture(scope="module")
def scored(resources: Resources) -> Resources:
    """Train a champion whose rows are dated, with a section `score`."""
    write_clients(
        resources.project,
        NAME,
        dataset={"kind": "csv", "path": "data/clients.csv"},
        time_column="since",
        features=["age", "visits", "member", "city"],
        preprocessing=BLOCKS,
        split={"kind": "hash", "test_fraction": 0.3},
        score={"sink": "scored", "schedule": {"cron": "0 0 1 * *", "start": "2024-01-01"}},
    )
    train_champion(resources, NAME)
    return resources


@pytest.fixture
def run(scored: Resources, tmp_path: Path) -> Callable[..., tuple[BatchScored, pd.DataFrame]]:
    """Return a function that scores, and what it wrote."""

    def score(output: str = "out.parquet", **request: Any) -> tuple[BatchScored, pd.DataFrame]:
        path = tmp_path / output
        done = score_batch(BatchRequest(reference=NAME, output=str(path), **request), scored)
        return done, pd.read_csv(path) if output.endswith("csv") else pd.read_parquet(path)

    return score


def source(path: Path | str, kind: str = "csv") -> dict[str, str]:
    """Return a file as a source."""
    return {"kind": kind, "path": str(path)}


def test_every_row_has_a_prediction(run: Callable[..., Any], scored: Resources) -> None:
    """It is that of the pipeline, with its version, probabilities, an id, and what says which row it is."""
    done, found = run()
    rows = pd.read_csv(scored.project.root / "data" / "clients.csv")
    model = scored.models.load_model(scored.registry.get_version(NAME, 1).model_id, NAME)  # type: ignore[union-attr]
    assert (done.rows, done.version, done.path, len(found)) == (400, 1, "compiled", 400)
    assert found["prediction"].tolist() == model.predict(rows).tolist()
    np.testing.assert_allclose(found["probability_yes"], model.predict_proba(rows)[:, 1], atol=1e-12)
    assert found["since"].dt.tz_localize(None).tolist() == pd.to_datetime(rows["since"]).tolist()
    assert found["prediction_id"].str.fullmatch("[0-9a-f]{32}").all()
    assert found["prediction_id"].is_unique
    assert set(found["version"]) == {1}


def test_the_same_rows_give_the_same_bytes_however_they_are_cut(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scored: Resources
) -> None:
    """Ids are a function of row and version, so a repetition changes nothing."""
    path = scored.project.root / "data" / "clients.parquet"
    pd.read_csv(path.with_suffix(".csv"), parse_dates=["since"]).to_parquet(path)
    _, whole = run(source=source(path, "parquet"))
    first = (tmp_path / "out.parquet").read_bytes()
    run(source=source(path, "parquet"))
    assert (tmp_path / "out.parquet").read_bytes() == first
    monkeypatch.setattr(batch, "BATCH_ROWS", 37)
    pd.testing.assert_frame_equal(run(source=source(path, "parquet"))[1], whole)


def test_a_window_cuts_by_the_time_column(run: Callable[..., Any]) -> None:
    """The start belongs to it, the end does not."""
    _, found = run(window=Window(start="2024-02-01", end="2024-03-01"))
    assert 0 < len(found) < 400
    assert found["since"].dt.month.unique().tolist() == [2]


def test_rows_without_outcome_are_predicted_to_csv(run: Callable[..., Any], scored: Resources) -> None:
    """That is what predicting is for. The contract's rule of the target does not count."""
    path = write_rows(scored.project, clients(30, seed=9).drop(columns="buys"), "new.csv")
    done, found = run("out.csv", source=source(path))
    assert (done.rows, len(found)) == (30, 30)


def test_a_broken_row_leaves_what_was_there(
    run: Callable[..., Any], scored: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is written whole or not at all, though the break is in the last chunk."""
    (tmp_path / "out.parquet").write_text("before")
    rows = clients(200, seed=9)
    rows.loc[199, "age"] = 999
    path = scored.project.root / "data" / "broken.parquet"
    rows.to_parquet(path)
    monkeypatch.setattr(batch, "BATCH_ROWS", 20)
    found = message_of(lambda: run(source=source(path, "parquet")), ContractError)
    assert "age" in found
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.parquet"]
    assert (tmp_path / "out.parquet").read_text() == "before"


def test_what_the_model_needs_is_named(run: Callable[..., Any], scored: Resources) -> None:
    """A missing column, and one of another type."""
    path = write_rows(scored.project, clients(5).drop(columns="age"), "short.csv")
    assert "no column 'age'" in message_of(lambda: run(source=source(path)), DataError)
    path = write_rows(scored.project, clients(5).assign(age="old"), "words.csv")
    assert "'age'" in message_of(lambda: run(source=source(path)), DataError)


@pytest.mark.parametrize("output", ["out.txt", "https://example.org/out.csv", "s3://bucket.csv"])
def test_an_output_that_cannot_be_written_is_refused_at_once(output: str, scored: Resources) -> None:
    """Nothing is loaded for it."""
    request = BatchRequest(reference=NAME, output=output)
    assert message_of(lambda: score_batch(request, scored), ConfigError).startswith("out: ")


def test_an_interval_has_a_file_of_its_own(scored: Resources) -> None:
    """A repetition replaces it with the same bytes; an interval without rows writes none."""
    sink = scored.project.root / "scored"
    window = Window(start="2024-02-01", end="2024-03-01")
    done = score_interval(NAME, window, scored)
    assert done.output == "scored/20240201T000000Z_20240301T000000Z.parquet"
    before = (scored.project.root / done.output).read_bytes()
    score_interval(NAME, window, scored)
    assert (scored.project.root / done.output).read_bytes() == before
    assert score_interval(NAME, Window(start="2030-01-01", end="2030-02-01"), scored).rows == 0
    assert len(list(sink.iterdir())) == 1


def test_the_command_predicts_a_file(
    scored: Resources, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Paths are relative to the shell's folder."""
    waterflow = command_in(scored.project, monkeypatch, capsys)
    write_rows(scored.project, clients(20, seed=9), "typed.csv")
    answer = waterflow("predict", f"{NAME}@1", "data/typed.csv", "--out", "typed.parquet")
    assert (answer.code, answer.err) == (0, "")
    assert f"predicted  20 rows by {NAME} version 1 (compiled)" in answer.out
    assert len(pd.read_parquet(scored.project.root / "typed.parquet")) == 20
    answer = waterflow("score", NAME, "--start", "2024-02-01", "--end", "2024-02-02")
    assert answer.code == 0
    answer = waterflow("predict", NAME, "data/typed.txt2", "--out", "typed.parquet")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert "ends in none of" in answer.err


def test_a_service_takes_the_same_fast_path(scored: Resources) -> None:
    """It finds the recorded rows beside the model's files; without them the pipeline serves, with the reason."""
    config = compose_pipeline(scored.project, NAME)
    champion = find_champion(NAME, scored, is_registered=True)
    assert champion is not None
    assignment = ModelCache(scored.project).fetch(champion, config, scored)
    served = load_served(assignment, scored.keyring)
    assert served.is_fast
    assert "compiled" in served.path
    assignment.holdout.unlink()
    served = load_served(assignment, scored.keyring)
    assert not served.is_fast
    assert "no recorded holdout rows" in served.path


def test_the_task_predicts_the_interval_of_its_run(scored: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow gives it the data interval; the record that it returns travels as an XCom."""
    from airflow.sdk import DAG

    from waterflow.orchestration import tasks

    monkeypatch.chdir(scored.project.root)
    monkeypatch.setenv("WATERFLOW_HOME", str(scored.project.home))
    interval = Window(start="2024-03-01", end="2024-04-01")
    context = {
        "dag": DAG("score_clients"),
        "dag_run": SimpleNamespace(run_type="scheduled", conf=None, run_after=interval.end),
        "data_interval_start": interval.start,
        "data_interval_end": interval.end,
    }
    monkeypatch.setattr(tasks, "get_current_context", lambda: context)
    done = BatchScored.from_json(tasks.score.function(NAME))
    assert done.output == "scored/20240301T000000Z_20240401T000000Z.parquet"
    found = pd.read_parquet(scored.project.root / done.output)
    assert len(found) == done.rows > 0
    assert found["since"].dt.month.unique().tolist() == [3]


def test_a_pipeline_without_the_section_says_what_to_add(scored: Resources) -> None:
    """Or what to do instead."""
    found = message_of(lambda: score_interval("flowers", Window(), scored), ConfigError)
    assert "has no section score" in found
