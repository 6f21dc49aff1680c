"""Schedule, approval, owner and tags of a pipeline.

The schema validates them, and DAG files read them without pydantic, by the same functions.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Approval = Literal["auto", "human"]
APPROVAL_TIMEOUT = "1 day"

MAX_TAG_LENGTH, MAX_OWNER_LENGTH = 100, 500  # of Airflow's columns
CRON_FIELDS = "minute, hour, day of the month, month, day of the week"
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


def check_approval_timeout(duration: str) -> timedelta:
    """Convert how long to wait for an answer. Raises ValueError unless it is at least a minute."""
    timeout = timedelta_of(duration)
    if not timeout:
        raise ValueError(f"{duration!r} leaves no time for an answer; write it like '1 day'")
    return timeout


def check_text(value: Any) -> str:
    """Return a text unchanged. Raises ValueError for what YAML reads as something else."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text; write '{value}' with quotes")
    return value


def check_tag(tag: Any) -> str:
    """Return a tag unchanged. Raises ValueError unless it is a text that Airflow's column holds."""
    return _check_length(check_text(tag), MAX_TAG_LENGTH)


def check_owner(owner: Any) -> str:
    """Return an owner unchanged. Raises ValueError unless it is a text that Airflow's column holds."""
    return _check_length(check_text(owner), MAX_OWNER_LENGTH)


def check_day(day: Any, name: str) -> date:
    """Return a day, also from a text. Raises ValueError for a time of day and for what is no day."""
    try:
        if isinstance(day, str):
            return date.fromisoformat(day)
    except ValueError as error:
        raise ValueError(f"{name}: {day!r} is no day; write it like 2026-01-01") from error
    if isinstance(day, datetime):
        raise ValueError(
            f"{name}: '{day}' has a time, and intervals count from the first moment of a day; "
            f"write {day:%Y-%m-%d}, and the time of the run in cron"
        )
    if not isinstance(day, date):
        raise ValueError(f"{name}: {day!r} is no day; write it like 2026-01-01")
    return day


def check_cron(cron: Any) -> str:
    """Return a cron line unchanged. Raises ValueError unless it has five fields and a time at which it fires.

    With a sixth field the line would count seconds, which nobody wants of a training.
    """
    from croniter import CroniterBadDateError, croniter  # the reader that Airflow uses

    if not isinstance(cron, str):
        raise ValueError(f"cron: {cron!r} is no cron line; write it with quotes, like '0 3 * * 1'")
    fields = cron.split()
    if not cron.startswith("@") and len(fields) in (6, 7):
        raise ValueError(
            f"cron: {cron!r} has {len(fields)} fields, which counts seconds; write five ({CRON_FIELDS}), "
            f"such as '{' '.join(fields[1:6])}'"
        )
    if not croniter.is_valid(cron):
        raise ValueError(f"cron: {cron!r} is no cron line; write five fields ({CRON_FIELDS}), like '0 3 * * 1'")
    try:
        croniter(cron, datetime(2000, 1, 1)).get_next()
    except CroniterBadDateError as error:
        raise ValueError(f"cron: {cron!r} never fires: no year has that day; change day or month") from error
    return cron


def _check_length(text: str, longest: int) -> str:
    if len(text) > longest:
        raise ValueError(f"'{text[:20]}…' has {len(text)} characters; Airflow has room for {longest}")
    return text


@dataclass(frozen=True)
class Schedule:
    """A cron line, each interval of which is one run.

    The run's window ends with it. Intervals count from `start`; none is scheduled after `end`. Raises ValueError on a
    cron line or time zone that cannot be read, and on an end before the start.
    """

    cron: str
    start: date
    end: date | None = None
    timezone: str = "UTC"

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_cron(self.cron)
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"end: {self.end} is not after start {self.start}, so nothing would ever run; change one")
        try:
            check_time_zone(self.timezone)
        except ValueError as error:
            raise ValueError(f"timezone: {error}") from error
