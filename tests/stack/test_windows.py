"""Backfills and scheduled runs: one honest run per interval."""

from collections.abc import Iterator

import pytest
from support.compose import Stack, eventually, pipeline_added

pytestmark = pytest.mark.stack

SCHEDULED = """\
defaults:
  - /strategy: balanced
  - /model@candidates: [gaussian_nb]
description: Iris once a day, for the stack's tests.
dataset: {kind: package, loader: iris}
target: species
task: classification
split: {kind: stratified}
metrics: {main: f1_macro}
tuning: {trials: 0}
gate: {metric: f1_macro, at_least: 0.5}
schedule: {cron: "0 0 * * *", start: 2026-01-01}
"""


@pytest.fixture(scope="module")
def daily(stack: Stack) -> Iterator[str]:
    """The DAG of a pipeline with a schedule, added as a person would: by one more YAML."""
    with pipeline_added(stack, "stacktest_daily", SCHEDULED) as dag_id:
        yield dag_id


def window_end(stack: Stack, run_id: str) -> str:
    """Return the end of the window that the MLflow run of a DAG run states."""
    parent, *_ = stack.runs(run_id, "stacktest_daily")
    return str(parent["tags"]["waterflow.window_end"])


def under_way(stack: Stack, dag_id: str) -> list[dict]:
    """List the backfills that Airflow has not closed yet; it does so some seconds after their last run."""
    found = stack.airflow("GET", "/backfills", params={"dag_id": dag_id}).json()["backfills"]
    return [backfill for backfill in found if backfill["completed_at"] is None]


def runs_of(stack: Stack, dag_id: str, run_type: str) -> list[dict]:
    """List the DAG runs of one type that are over."""
    runs = stack.airflow("GET", f"/dags/{dag_id}/dagRuns", params={"run_type": run_type}).json()["dag_runs"]
    return [run for run in runs if run["state"] in ("success", "failed")]


def test_the_scheduler_makes_a_run_with_the_window_of_its_interval(stack: Stack, daily: str) -> None:
    """The scheduler itself creates the run of the last complete interval; its window ends with the interval."""
    runs = eventually(lambda: runs_of(stack, daily, "scheduled"), timeout_seconds=300, pause_seconds=3)
    assert runs[0]["state"] == "success"
    assert runs[0]["data_interval_start"] != runs[0]["data_interval_end"]
    assert window_end(stack, runs[0]["dag_run_id"])[:19] == runs[0]["data_interval_end"][:19]


def test_a_backfill_makes_one_run_for_each_interval(stack: Stack, daily: str) -> None:
    """A backfill of three days gives three runs, each with the window of its own day and, forced, its own version."""
    body = {
        "dag_id": daily,
        "from_date": "2026-02-01T00:00:00Z",
        "to_date": "2026-02-03T00:00:00Z",
        "max_active_runs": 3,
        "dag_run_conf": {"force": True},  # the rows have no dates, so they are the same each day
    }
    assert stack.airflow("POST", "/backfills", json=body).status_code == 200
    runs = eventually(
        lambda: len(found := runs_of(stack, daily, "backfill")) == 3 and found, timeout_seconds=400, pause_seconds=3
    )
    assert {run["state"] for run in runs} == {"success"}
    ends = sorted(window_end(stack, run["dag_run_id"])[:10] for run in runs)
    assert ends == ["2026-02-02", "2026-02-03", "2026-02-04"]
    assert (
        len({stack.runs(run["dag_run_id"], "stacktest_daily")[0]["tags"]["waterflow.registered"] for run in runs}) == 3
    )


def test_the_backfill_command_works_too(stack: Stack, daily: str) -> None:
    """`airflow backfill create` inside the stack makes the run of its day, once no other backfill is under way."""
    eventually(lambda: not under_way(stack, daily), timeout_seconds=120, pause_seconds=2)
    stack.inside(
        "airflow-scheduler", "airflow", "backfill", "create", "--dag-id", daily,
        "--from-date", "2026-03-01", "--to-date", "2026-03-01",
    )  # fmt: skip
    eventually(
        lambda: [run for run in runs_of(stack, daily, "backfill") if run["data_interval_end"].startswith("2026-03-02")],
        timeout_seconds=300,
        pause_seconds=3,
    )
