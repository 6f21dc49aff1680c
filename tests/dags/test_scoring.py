"""The DAG that predicts the rows of each interval."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from support.projects import FLOWERS, write_pipeline

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.records.run import Window

Build = Callable[[], dict[str, Any]]
SCHEDULE = {"cron": "0 4 * * *", "start": "2026-01-01"}
DATED = {**FLOWERS, "time_column": "day", "split": {"kind": "hash"}}
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC)


def test_a_pipeline_with_the_section_has_a_second_dag(project: Project, build: Build) -> None:
    """It has one task, intervals of its own schedule, and a window in its form where rows are dated."""
    write_pipeline(project, "flowers", DATED, score={"sink": "scored", "schedule": SCHEDULE})
    dags = build()
    assert set(dags) == {"train_flowers", "score_flowers"}
    dag = dags["score_flowers"]
    assert [task.task_id for task in dag.tasks] == ["score"]
    assert type(dag.timetable).__name__ == "CronDataIntervalTimetable"
    assert not dag.catchup
    assert set(dag.params) == {"window_start", "window_end"}
    assert dags["train_flowers"].timetable.__class__.__name__ == "NullTimetable"


def test_without_a_schedule_it_waits_to_be_triggered(project: Project, build: Build) -> None:
    """Nothing dates its rows, so no window is asked for."""
    write_pipeline(project, "flowers", score={"sink": "scored"})
    dag = build()["score_flowers"]
    assert type(dag.timetable).__name__ == "NullTimetable"
    assert not dag.params


@pytest.mark.parametrize(
    ("score", "said"),
    [("daily", "has no sink"), ({"sink": "scored", "schedule": {"cron": "often"}}, "score.schedule.start")],
)
def test_a_broken_section_breaks_its_pipeline_alone(score: Any, said: str, project: Project, build: Build) -> None:
    """The page says what is wrong."""
    write_pipeline(project, "roses", score=score)
    dags = build()
    assert set(dags) == {"train_flowers", "train_roses"}
    assert "broken" in dags["train_roses"].tags
    assert said in dags["train_roses"].doc_md


@pytest.mark.parametrize(
    ("run_type", "conf", "window"),
    [
        ("scheduled", {}, Window(start=START, end=END)),
        ("backfill", {}, Window(start=START, end=END)),
        ("manual", {}, Window(end=datetime(2026, 4, 1, tzinfo=UTC))),
        (
            "manual",
            {"window_start": "2026-01-01", "window_end": "2026-02-01"},
            Window(start="2026-01-01", end="2026-02-01"),
        ),
    ],
)
def test_a_run_predicts_its_interval(run_type: str, conf: dict[str, str], window: Window) -> None:
    """A manual run has the window of its form: what Airflow attaches to it is ignored."""
    now = datetime(2026, 4, 1, tzinfo=UTC)
    assert workflow.interval_window(run_type, START, END, conf, now) == window
