from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.projects import request_of

from waterflow.operations.reconcile import final_status, reconcile
from waterflow.records.run import Origin
from waterflow.resources import Resources
from waterflow.steps.prepare import prepare
from waterflow.tracking.run_queries import TrackedRun

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
PARENT = TrackedRun("r", "0", "run", "RUNNING", "file:///artifacts", BEGUN, {}, {}, {})
CANDIDATE = replace(PARENT, tags={"waterflow.candidate": "nb", "waterflow.map_index": "1"})
REFIT = replace(PARENT, tags={"waterflow.candidate": "nb"})


@pytest.mark.parametrize(
    ("run", "states", "status"),
    [
        (CANDIDATE, {"train_0": "running", "train_1": "running"}, None),
        (CANDIDATE, {"train_0": "running", "train_1": "up_for_retry"}, None),
        (CANDIDATE, {"train_0": "running", "train_1": "failed"}, "KILLED"),
        (CANDIDATE, {"prepare": "success"}, "KILLED"),
        (CANDIDATE, {}, "KILLED"),
        (REFIT, {"train_0": "success", "evaluate": "running", "promote": None}, None),
        (REFIT, {"train_0": "success", "evaluate": "failed", "promote": "upstream_failed"}, "KILLED"),
        (PARENT, {"prepare": "success", "train_0": "running", "promote": None}, None),
        (PARENT, {"register": "success", "approve": "awaiting_input", "promote": None}, None),
        (PARENT, {"prepare": "success", "train_0": "failed", "promote": "upstream_failed"}, "FAILED"),
        (PARENT, {"prepare": "success", "train_0": "failed", "promote": "success"}, "FINISHED"),
        (PARENT, {"register": "success", "promote": "failed"}, "FAILED"),
        (PARENT, {"prepare": "success", "register": "success"}, "FINISHED"),  # of before there was a step promote
        (PARENT, {}, "KILLED"),
    ],
)
def test_a_run_ends_as_its_task_did(run: TrackedRun, states: dict[str, str | None], status: str | None) -> None:
    """What may still go on is left alone; what Airflow has forgotten is dead."""
    assert final_status(run, states) == status


def test_a_dead_run_is_closed_with_its_reason(resources: Resources, pipeline: Callable[..., str]) -> None:
    """The parent of a DAG run that failed is FAILED and says who closed it."""
    origin = Origin(runner="airflow", run_id="manual__1", dag_id="train_flowers")
    prepared = prepare(request_of(pipeline()).model_copy(update={"origin": origin}), resources)
    alive = reconcile(resources, lambda dag_id, run_id: {"train_0": "running"})
    closed = reconcile(resources, lambda dag_id, run_id: {"prepare": "success", "register": "upstream_failed"})
    run = resources.runs.client.get_run(prepared.parent_run_id)
    assert alive == []
    assert [entry.run_id for entry in closed] == [prepared.parent_run_id]
    assert run.info.status == "FAILED"
    assert "reconcile" in run.data.tags["waterflow.failure"]


def test_a_run_that_cannot_be_handled_stops_no_other(
    resources: Resources, pipeline: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    """Runs without tags, and one that Airflow fails on, are named; the dead run after them is closed."""
    origin = Origin(runner="airflow", run_id="manual__dead", dag_id="train_flowers")
    name = pipeline()
    dead = prepare(request_of(name).model_copy(update={"origin": origin}), resources)
    client = resources.runs.client
    tags = {"waterflow.runner": "airflow"}
    bare = client.create_run(dead.experiment_id, tags=tags).info.run_id
    half = client.create_run(dead.experiment_id, tags={**tags, "waterflow.dag_id": "train_flowers"}).info.run_id
    odd_tags = {**tags, "waterflow.dag_id": "train_odd", "waterflow.dag_run_id": "odd"}
    odd = client.create_run(dead.experiment_id, tags=odd_tags).info.run_id

    def task_states(dag_id: str, run_id: str) -> dict[str, str | None]:
        if dag_id == "train_odd":
            raise KeyError("no such DAG run")
        return {"prepare": "success", "register": "upstream_failed"}

    closed = reconcile(resources, task_states)
    assert [run.run_id for run in closed] == [dead.parent_run_id]
    for run_id, reason in ((bare, "no tag waterflow.dag_id"), (half, "no tag waterflow.dag_run_id"), (odd, "no such")):
        assert any(run_id in line and reason in line and "close or delete it" in line for line in caplog.messages)
        assert client.get_run(run_id).info.status == "RUNNING"
        client.delete_run(run_id)
