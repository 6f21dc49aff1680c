"""A server is lost while a run is under way; `make test-faults`, apart from the other tests of the stack."""

import time

import pytest
from support.compose import Stack, command, eventually

pytestmark = pytest.mark.faults
CANDIDATES = 5


def assert_one_of_each(stack: Stack, run_id: str) -> None:
    """The run ended in success, with one MLflow run per candidate, one version and nothing left RUNNING."""
    assert stack.wait("train_iris", run_id, timeout_seconds=900) == "success"
    parent, *nested = [run for run in stack.runs(run_id) if run["tags"].get("waterflow.superseded") != "true"]
    nested = [run for run in nested if not run["info"]["run_name"].endswith(" refit")]
    assert len(nested) == CANDIDATES
    assert len({run["info"]["run_name"] for run in nested}) == CANDIDATES
    ended = eventually(lambda: all_over(stack, run_id), timeout_seconds=600, pause_seconds=5)
    assert ended == {"FINISHED"}
    made = [version for version in stack.versions() if tag(version, "waterflow.dag_run_id") == run_id]
    assert [f"iris/{version['version']}" for version in made] == [parent["tags"]["waterflow.registered"]]


def all_over(stack: Stack, run_id: str) -> set[str]:
    """Return the states of a DAG run's MLflow runs, once none is RUNNING."""
    states = {run["info"]["status"] for run in stack.runs(run_id)}
    return states if "RUNNING" not in states else set()


def tag(version: dict, key: str) -> str | None:
    """Read one tag of a registered version."""
    return next((entry["value"] for entry in version.get("tags", []) if entry["key"] == key), None)


def training_run(stack: Stack) -> str:
    """Trigger a run and return its id once its candidates are being trained; it is forced, so that they are."""
    run_id = stack.trigger("train_iris", {"force": True})
    eventually(
        lambda: any(t["task_id"] == "train" and t["state"] == "running" for t in stack.tasks("train_iris", run_id)),
        timeout_seconds=120,
        pause_seconds=0.2,
    )
    return run_id


def away(stack: Stack, service: str, seconds: float) -> None:
    """Stop a service for some seconds."""
    stack.compose("stop", "--timeout", "1", service)
    time.sleep(seconds)
    stack.compose("start", service)


def test_kill_9_of_the_scheduler(stack: Stack, iris_run: str) -> None:
    """The scheduler and all its tasks die at once; a new one takes the run to its end."""
    run_id = training_run(stack)
    command("docker", "kill", "--signal", "KILL", stack.service_id("airflow-scheduler"))
    # Docker takes `kill` for a wish to stop, where a crash would be followed by a restart.
    stack.compose("up", "--detach", "--no-deps", "airflow-scheduler")
    assert_one_of_each(stack, run_id)


@pytest.mark.parametrize("service", ["airflow-apiserver", "mlflow", "postgres", "minio"])
def test_restart_of_a_server(stack: Stack, iris_run: str, service: str) -> None:
    """A server is restarted in the middle of a run."""
    run_id = training_run(stack)
    stack.compose("restart", service)
    assert_one_of_each(stack, run_id)


@pytest.mark.parametrize("service", ["airflow-apiserver", "mlflow", "postgres", "minio"])
def test_thirty_seconds_without_a_server(stack: Stack, iris_run: str, service: str) -> None:
    """A server is away for thirty seconds in the middle of a run."""
    run_id = training_run(stack)
    away(stack, service, seconds=30)
    assert_one_of_each(stack, run_id)
