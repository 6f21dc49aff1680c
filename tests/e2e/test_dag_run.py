"""The DAG of `flowers`, run for real in one process: Airflow on SQLite, MLflow on SQLite, folders for the rest."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run
from support.projects import make_project

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.resources import Resources


@dataclass(frozen=True)
class Outcome:
    """A project after its first DAG run."""

    project: Project
    answer: Any
    resources: Resources

    def runs(self) -> list[Run]:
        """List the MLflow runs of `flowers`, the newest first."""
        experiment = self.resources.runs.client.get_experiment_by_name("waterflow/flowers")
        assert experiment is not None
        return list(self.resources.runs.client.search_runs([experiment.experiment_id]))

    def parents(self) -> list[Run]:
        """List those that own a DAG run."""
        return [run for run in self.runs() if "mlflow.parentRunId" not in run.data.tags]


@pytest.fixture(scope="module")
def outcome(run_dag: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """Run the DAG once for all tests of this file."""
    project = make_project(tmp_path_factory.mktemp("dag_run"))
    answer = run_dag(project)
    return Outcome(project, answer, workflow.open_resources(project))


def test_the_run_ends_with_its_table(outcome: Outcome) -> None:
    """Candidates, winner, version and aliases stand on the terminal."""
    assert outcome.answer.code == 0, outcome.answer.err + outcome.answer.log[-3000:]
    for text in (
        "gaussian_nb",
        "logistic_regression",
        "winner",
        "registered  flowers version 1  @challenger @champion",
    ):
        assert text in outcome.answer.out


def test_the_run_shows_its_progress(outcome: Outcome) -> None:
    """A line for each step comes before the table."""
    out = outcome.answer.out
    places = [
        out.index(text) for text in ("150 rows from data/flowers.csv", "fitting gaussian_nb", "flowers version 1")
    ]
    assert places == sorted(places)


def test_messages_carry_the_name_of_their_step(outcome: Outcome) -> None:
    """The comparison belongs to evaluate, the checks of a served version to staging."""
    assert " evaluate  verdict against" in outcome.answer.out
    assert "  staging  loads: passed" in outcome.answer.out


def test_a_log_does_not_end_with_a_record(outcome: Outcome) -> None:
    """A record is an XCom; in the log it would be a line of 4 kB."""
    assert "Returned value was: {" not in outcome.answer.log
    assert max(map(len, outcome.answer.log.splitlines())) < 2000


def test_a_dag_run_has_one_parent_and_its_candidates_nested(outcome: Outcome) -> None:
    """All are FINISHED when the DAG run is."""
    parent = outcome.parents()[-1]
    nested = [run for run in outcome.runs() if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    winner = parent.data.tags["waterflow.winner"]
    assert {run.info.run_name for run in nested} == {"gaussian_nb", "logistic_regression", f"{winner} refit"}
    assert {run.info.status for run in [parent, *nested]} == {"FINISHED"}


def test_each_run_names_its_dag_run(outcome: Outcome) -> None:
    """From MLflow one finds back to Airflow."""
    parent = outcome.parents()[-1]
    for run in outcome.runs():
        tags = run.data.tags
        assert tags["waterflow.runner"] == "airflow"
        assert tags["waterflow.dag_id"] == "train_flowers"
        assert tags["waterflow.try_number"] == "1"
    assert parent.data.tags["waterflow.dag_run_id"].startswith("manual__")
    assert parent.info.run_name.endswith(" · manual")


def test_each_run_names_its_data(outcome: Outcome) -> None:
    """Parent and candidates have the same data set as input."""
    digests = {run.inputs.dataset_inputs[0].dataset.digest for run in outcome.runs()}
    assert len(digests) == 1


def test_the_parent_holds_the_plots(outcome: Outcome, tmp_path: Path) -> None:
    """They are pictures that can be opened."""
    client = outcome.resources.runs.client
    folder = Path(client.download_artifacts(outcome.parents()[-1].info.run_id, "plots", str(tmp_path)))
    pictures = {path.name: path.read_bytes()[:4] for path in folder.iterdir()}
    assert set(pictures) == {
        "candidates.png",
        "confusion_matrix.png",
        "precision_recall_curve.png",
        "roc_curve.png",
    }
    assert set(pictures.values()) == {b"\x89PNG"}


def test_the_version_leads_to_its_run(outcome: Outcome) -> None:
    """The champion was registered from the winner's run."""
    champion = outcome.resources.registry.find_alias("flowers", "champion")
    assert champion is not None
    parent = outcome.parents()[-1].data.tags
    assert champion.tags["waterflow.dag_run_id"] == parent["waterflow.dag_run_id"]
    assert champion.tags["waterflow.candidate"] == parent["waterflow.winner"]


def test_an_unchanged_dag_run_is_cached(outcome: Outcome, run_dag: Callable[..., Any]) -> None:
    """Its tasks succeed and say so in their logs, its runs lead to those of the first, and nothing is registered."""
    before = len(outcome.resources.registry.list_versions("flowers"))
    first = outcome.parents()[0]
    again = run_dag(outcome.project)
    assert again.code == 0, again.err + again.log[-3000:]
    assert "gaussian_nb: cached, nothing is fitted; run " in again.log
    assert len(outcome.resources.registry.list_versions("flowers")) == before
    newest = outcome.parents()[0]
    assert newest.data.tags["waterflow.cached_from"] == first.info.run_id
    nested = [run for run in outcome.runs() if run.data.tags.get("mlflow.parentRunId") == newest.info.run_id]
    assert {run.data.tags["waterflow.cached"] for run in nested} == {"true"}
    assert {run.info.status for run in [newest, *nested]} == {"FINISHED"}


def test_a_second_dag_run_makes_a_second_version(outcome: Outcome, run_dag: Callable[..., Any]) -> None:
    """The form's choice of strategy and candidate reaches the run; `quick` moves no alias."""
    again = run_dag(outcome.project, conf={"strategy": "quick", "candidates": ["gaussian_nb"]})
    assert again.code == 0, again.err + again.log[-3000:]
    versions = outcome.resources.registry.list_versions("flowers")
    assert [(entry.version, entry.aliases) for entry in versions] == [(2, ()), (1, ("challenger", "champion"))]
    newest = outcome.parents()[0]
    nested = [run for run in outcome.runs() if run.data.tags.get("mlflow.parentRunId") == newest.info.run_id]
    assert [run.info.run_name for run in nested] == ["gaussian_nb"]
    assert newest.data.tags["waterflow.strategy"] == "quick"
