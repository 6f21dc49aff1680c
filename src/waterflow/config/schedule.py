"""Durations, schedules and approval. The schema validates them, and DAG files read them, without pydantic."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Approval = Literal["auto", "human"]
APPROVAL_TIMEOUT = "1 day"

DURATION = re.compile(r"(\d+) (minute|hour|day|week|month|year)s?")
# A time-out needs no calendar: a month is 30 days, a year 365.
MINUTES = {"minute": 1, "hour": 60, "day": 1440, "week": 10_080, "month": 43_200, "year": 525_600}


def check_duration(text: str) -> str:
    """Return a duration unchanged. Raises ValueError unless it reads like '36 hours'."""
    if not DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write it like '36 hours' or '3 months'")
    return text


def check_time_zone(name: str) -> str:
    """Return the name of a time zone unchanged. Raises ValueError on an unknown one."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is unknown; write it like UTC or Europe/Berlin") from error
    return name


def timedelta_of(duration: str) -> timedelta:
    """Convert a duration. Months have 30 days, years 365; raises ValueError as `check_duration` does."""
    count, unit = check_duration(duration).split(" ")
    return timedelta(minutes=int(count) * MINUTES[unit.removesuffix("s")])


@dataclass(frozen=True)
class Schedule:
    """A cron line, each interval of which is one run.

    The run's window ends with it. Intervals count from `start`; none is scheduled after `end`. Raises ValueError on a
    cron line or time zone that cannot be read.
    """

    cron: str
    start: date
    end: date | None = None
    timezone: str = "UTC"

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def __post_init__(self) -> None:
        from croniter import croniter  # the reader that Airflow uses

        if not croniter.is_valid(self.cron):
            raise ValueError(f"cron: {self.cron!r} is no cron line; write it like '0 3 * * 1'")
        try:
            check_time_zone(self.timezone)
        except ValueError as error:
            raise ValueError(f"timezone: {error}") from error
