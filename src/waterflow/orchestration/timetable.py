"""Schedules of pipelines as Airflow's timetables."""

import datetime
from typing import Any

import pendulum
from airflow.sdk import CronDataIntervalTimetable

from waterflow.config.schedule import Schedule


def build_timetable(schedule: Schedule | None) -> Any:
    """Return a timetable with real data intervals. None without a schedule.

    A bare cron string would give intervals of zero length. A `Schedule` checks its cron line and zone itself.
    """
    if schedule is None:
        return None
    if schedule.end is not None:
        from waterflow.orchestration.bounded_timetable import CronDataIntervalUntil  # Airflow's core

        return CronDataIntervalUntil(schedule.cron, schedule.timezone, first_moment(schedule.end, schedule))
    return CronDataIntervalTimetable(schedule.cron, timezone=pendulum.timezone(schedule.timezone))


def first_moment(date: datetime.date, schedule: Schedule) -> pendulum.DateTime:
    """Return the first moment of a day in its zone."""
    return pendulum.datetime(*date.timetuple()[:3], tz=schedule.timezone)
