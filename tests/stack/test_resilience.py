"""What a killed task leaves behind, and what survives `down` and `up`."""

import os
import signal
from collections.abc import Iterator

import pytest
from support.compose import Stack, command, eventually, pipeline_added

pytestmark = pytest.mark.stack

SLOW = """\
defaults:
  - /strategy: balanced
description: A candidate that takes long enough to be killed.
dataset: {kind: package, loader: iris}
target: species
task: classification
split: {kind: stratified}
candidates:
  slow_forest: {estimator: sklearn.ensemble.RandomForestClassifier, params: {n_estimators: 12000}}
metrics: {main: f1_macro}
gate: {metric: f1_macro, at_least: 0.5}
"""


@pytest.fixture
def slow_dag(stack: Stack) -> Iterator[str]:
    """The DAG of a pipeline whose training takes half a minute or more."""
    with pipeline_added(stack, "stacktest_slow", SLOW) as dag_id:
        yield dag_id


def test_a_killed_training_task_is_retried_and_its_run_reopened(stack: Stack, slow_dag: str) -> None:
    """After kill -9 of the task's process: a retry goes on in the same MLflow run, and the DAG run succeeds."""
    run_id = stack.trigger(slow_dag)
    first = eventually(lambda: nested_runs(stack, run_id), timeout_seconds=120)
    os.kill(training_process(stack, run_id), signal.SIGKILL)
    assert stack.wait(slow_dag, run_id, timeout_seconds=500) == "success"
    train = next(task for task in stack.tasks(slow_dag, run_id) if task["task_id"] == "train")
    assert train["try_number"] == 2
    after = nested_runs(stack, run_id)
    assert [run["info"]["run_id"] for run in after] == [run["info"]["run_id"] for run in first]
    assert [run["info"]["status"] for run in after] == ["FINISHED"]
    assert after[0]["tags"]["waterflow.try_number"] == "2"


def test_a_run_whose_task_is_gone_is_closed_by_the_maintenance_dag(stack: Stack, iris_run: str) -> None:
    """MLflow calls a run RUNNING that belongs to no DAG run any more: reconcile closes it, and says why."""
    experiment_id = stack.runs(iris_run)[0]["info"]["experiment_id"]
    origin = {"waterflow.runner": "airflow", "waterflow.dag_id": "train_iris", "waterflow.dag_run_id": "manual__gone"}
    tags = [{"key": key, "value": value} for key, value in origin.items()]
    body = {"experiment_id": experiment_id, "run_name": "left behind", "start_time": 0, "tags": tags}
    made = stack.mlflow("POST", "/runs/create", json=body).json()["run"]["info"]
    assert made["status"] == "RUNNING"
    assert stack.wait("reconcile_mlflow_runs", stack.trigger("reconcile_mlflow_runs")) == "success"
    run = stack.mlflow("GET", "/runs/get", params={"run_id": made["run_id"]}).json()["run"]
    assert run["info"]["status"] == "KILLED"
    assert "waterflow.failure" in {tag["key"] for tag in run["data"]["tags"]}


def nested_runs(stack: Stack, run_id: str) -> list[dict]:
    """Return the nested MLflow runs of a DAG run's candidates, without the second fit of the winner."""
    nested = [run for run in stack.runs(run_id, "stacktest_slow") if "mlflow.parentRunId" in run["tags"]]
    return [run for run in nested if not run["info"]["run_name"].endswith(" refit")]


def training_process(stack: Stack, run_id: str) -> int:
    """Find the process, as this machine numbers it, that burns the processor for the scheduler's one task."""

    def busiest() -> int | None:
        lines = command(
            "docker", "top", stack.service_id("airflow-scheduler"), "-eo", "pid,pcpu,args"
        ).stdout.splitlines()
        busy = [line.split(None, 2) for line in lines[1:]]
        tasks = [entry for entry in busy if "task" in entry[2].lower() or "worker" in entry[2].lower()]
        chosen = max(tasks or busy, key=lambda entry: float(entry[1]))
        return int(chosen[0]) if float(chosen[1]) > 20 else None

    return int(eventually(busiest, timeout_seconds=60, pause_seconds=2))


def test_down_and_up_keep_everything(stack: Stack, iris_run: str) -> None:
    """After `down` and `up` the DAG run, its MLflow runs, the version, its alias and the objects are all there."""
    runs_before = {run["info"]["run_id"] for run in stack.runs(iris_run)}
    keys_before = set(stack.keys("mlflow"))
    aliases_before = stack.aliases()
    assert "champion" in aliases_before
    stack._secrets.clear()  # another test rotates a key
    secrets_before = dict(stack.secrets())
    stack.down()
    stack.up()
    stack._secrets.clear()
    assert [name for name, value in stack.secrets().items() if secrets_before.get(name) != value] == []
    assert stack.state("train_iris", iris_run) == "success"
    assert {run["info"]["run_id"] for run in stack.runs(iris_run)} == runs_before
    assert keys_before <= set(stack.keys("mlflow"))
    assert stack.aliases() == aliases_before
