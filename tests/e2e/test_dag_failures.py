"""DAG runs with something wrong in them: what goes on, what stops, and what is left."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from support.projects import candidates, left_behind, make_project, write_pipeline, write_rows

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.datasets.loaders import iris

BROKEN = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"C": -1.0}}
NB = "sklearn.naive_bayes.GaussianNB"


@pytest.fixture
def spoilt(tmp_path: Path) -> Project:
    """Return a project to spoil."""
    return make_project(tmp_path)


def task_states(project: Project) -> dict[str, str]:
    """Read from Airflow's metadata how each task ended; a mapped one is `train_0`, the DAG run itself `run`."""
    engine = create_engine(f"sqlite:///{project.home}/airflow/airflow.db")
    with engine.connect() as connection:
        tasks = connection.execute(text("select task_id, map_index, state from task_instance")).all()
        runs = connection.execute(text("select state from dag_run")).all()
    engine.dispose()
    states = {task if index < 0 else f"{task}_{index}": state for task, index, state in tasks}
    return states | {"run": runs[-1][0]}


def test_a_candidate_that_fails_is_a_red_task_and_the_rest_is_registered(
    spoilt: Project, run_dag: Callable[..., Any]
) -> None:
    """It fails at once, without retries, and the run says so."""
    write_pipeline(spoilt, "flowers", **candidates(broken=BROKEN, nb=NB))
    answer = run_dag(spoilt)
    assert answer.code == 0, answer.err + answer.log[-3000:]
    states = task_states(spoilt)
    assert (states["train_0"], states["train_1"], states["promote"]) == ("failed", "success", "success")
    resources = workflow.open_resources(spoilt)
    champion = resources.registry.find_alias("flowers", "champion")
    assert champion is not None
    assert champion.tags["waterflow.candidate"] == "nb"
    experiment = resources.runs.ensure_experiment("flowers")
    runs = {run.info.run_name: run for run in resources.runs.client.search_runs([experiment])}
    assert runs["broken"].info.status == "FAILED"
    assert runs["broken"].data.tags["waterflow.try_number"] == "1"
    parent = resources.runs.client.get_run(champion.tags["waterflow.parent_run_id"])
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["waterflow.missing_candidates"] == "broken"


def test_when_all_candidates_fail_the_dag_run_fails_and_nothing_is_registered(
    spoilt: Project, run_dag: Callable[..., Any]
) -> None:
    """No version, no run that still runs."""
    write_pipeline(spoilt, "flowers", **candidates(broken=BROKEN))
    answer = run_dag(spoilt)
    assert answer.code == 1
    assert "no candidate of flowers could be trained (broken)" in answer.out + answer.log
    assert task_states(spoilt)["run"] == "failed"
    assert left_behind(workflow.open_resources(spoilt)) == []


def test_bad_rows_fail_the_dag_run_and_nothing_is_registered(spoilt: Project, run_dag: Callable[..., Any]) -> None:
    """`prepare` fails at once, nothing is trained, and the DAG run is red."""
    write_rows(spoilt, iris().assign(species="setosa"))
    answer = run_dag(spoilt)
    assert answer.code == 1
    assert "there is nothing to learn" in answer.out
    states = task_states(spoilt)
    assert states["prepare"] == "failed"
    assert states["run"] == "failed"
    assert left_behind(workflow.open_resources(spoilt)) == []


def test_a_dag_that_asks_a_person_is_refused(spoilt: Project, run_dag: Callable[..., Any]) -> None:
    """Before any task: nobody could answer, and a run would wait for a day."""
    write_pipeline(spoilt, "flowers", promotion={"approval": "human"})
    answer = run_dag(spoilt)
    assert answer.code == 1
    assert (
        "error: promotion.approval: 'human' in conf/pipeline/flowers.yaml waits for an answer"
        in answer.err + answer.out
    )
    assert left_behind(workflow.open_resources(spoilt)) == []


def test_an_unknown_pipeline_is_refused_with_the_valid_ones(spoilt: Project, run_dag: Callable[..., Any]) -> None:
    """Before any task."""
    answer = run_dag(spoilt, "roses")
    assert answer.code == 1
    assert "'roses' is unknown; valid: flowers" in answer.err + answer.out
