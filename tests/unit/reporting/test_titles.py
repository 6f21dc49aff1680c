from datetime import datetime

import pytest
from support.projects import CHECKOUT

from waterflow.config.compose import compose_pipeline
from waterflow.config.project import Project
from waterflow.records.run import Origin, Window
from waterflow.reporting.titles import name_period, run_title


def window(start: str | None, end: str | None) -> Window:
    """Return a window of these moments."""
    start_at, end_at = (datetime.fromisoformat(text) if text else None for text in (start, end))
    return Window(start=start_at, end=end_at)


@pytest.mark.parametrize(
    ("start", "end", "zone", "expected"),
    [
        ("2013-05-01", "2013-06-01", "UTC", "2013-05"),
        (None, "2013-06-01", "UTC", "2013-05"),
        ("2013-03-01", "2013-06-01", "UTC", "2013-03 to 2013-05"),
        ("2012-01-01", "2013-01-01", "UTC", "2012-01 to 2012-12"),
        ("2013-05-07", "2013-05-08", "UTC", "2013-05-07"),
        ("2013-05-07", "2013-06-01", "UTC", "2013-05-07 to 2013-05-31"),
        (None, "2013-05-31T22:00:00+00:00", "Europe/Berlin", "2013-05"),
        (None, "2013-06-01T03:00:00+00:00", "UTC", "until 2013-06-01 03:00"),
        ("2013-05-01", None, "UTC", None),
    ],
)
def test_a_period_is_named_by_its_calendar(start: str | None, end: str | None, zone: str, expected: str | None) -> None:
    """Whole months and days of the pipeline's own clock, without the excluded end."""
    assert name_period(window(start, end), zone) == expected


@pytest.mark.parametrize(
    ("pipeline", "run_id", "expected"),
    [
        ("flights_delay", "scheduled__2013-06-01T00:00:00+00:00", "2013-05 · monthly"),
        ("flights_delay", "backfill__2013-06-01T00:00:00+00:00", "2013-05 · monthly"),
        ("flights_delay", "manual__2026-11-25T20:55:03.761841+00:00", "2013-05 · manual"),
        ("iris", "manual__2026-11-25T20:55:03.761841+00:00", "2026-11-25 20:55 · manual"),
        ("iris", "cli__2026-11-25T20:55:03.761841_4711", "2026-11-25 20:55 · command line"),
        ("iris", "my-own-id", "my-own-id"),
        ("iris", "manual__odd", "manual__odd"),
    ],
)
def test_a_run_is_named_by_its_period_and_what_started_it(pipeline: str, run_id: str, expected: str) -> None:
    """Undated pipelines by the moment; an id that somebody chose stays."""
    config = compose_pipeline(Project(conf=CHECKOUT / "conf", home=CHECKOUT / ".waterflow"), pipeline)
    origin = Origin(runner="airflow", run_id=run_id)
    assert run_title(origin, window("2013-05-01", "2013-06-01"), config) == expected
