"""The window of a run's rows, and the cut. A run may see no other rows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

from waterflow.config.schema import DURATION, PipelineConfig
from waterflow.data.time_formats import parse_time_texts, times_from_numbers
from waterflow.errors import ConfigError, DataError
from waterflow.plurals import counted
from waterflow.records.run import Window

EXACT_UNITS = ("minute", "hour")  # the others are counted on the calendar, so that a day may have 23 hours


def window_of(run_type: str, interval_end: datetime | None, conf: Mapping[str, Any], now: datetime) -> Window:
    """Return the window of a run.

    A scheduled or backfill run sees everything before the end of its data interval. A manual run takes
    `window_start` and `window_end` from the form, or everything up to `now`; Airflow attaches the last complete
    interval to a manual run, which is ignored. Raises ConfigError on a malformed time, or an end before the start.
    """
    start = _parse_moment(conf, "window_start")
    end = _parse_moment(conf, "window_end")
    if run_type in ("scheduled", "backfill") and end is None:
        if interval_end is None:
            raise ConfigError(f"window: a {run_type} run without a data interval; give the DAG an interval schedule")
        end = interval_end
    window = Window(start=start, end=end or now)
    if window.start is not None and window.end is not None and window.start >= window.end:
        raise ConfigError(f"window: {window} ends before it starts; window_start must lie before window_end")
    return window


def apply_window_rule(window: Window, config: PipelineConfig) -> Window:
    """Return the window with its start set by `config.window`.

    A start that was requested explicitly stays. Days and months are counted in the pipeline's time zone. Raises
    ConfigError when the window ends before the first day that the rule allows.
    """
    rule = config.window
    if window.start is not None:
        return window
    start = None
    if rule.start is not None:
        start = datetime(rule.start.year, rule.start.month, rule.start.day, tzinfo=ZoneInfo(config.clock))
        if window.end is not None and window.end <= start:
            raise ConfigError(
                f"window: {window} ends before window.start {rule.start} of the pipeline; choose a later window_end"
            )
    elif rule.lookback is not None and window.end is not None:
        start = shift_times(pd.Series([window.end]), rule.lookback, config.clock, sign=-1)[0].to_pydatetime()
    return Window(start=start, end=window.end)


def shift_times(times: pd.Series, duration: str, time_zone: str = "UTC", sign: Literal[1, -1] = 1) -> pd.Series:
    """Add a duration to UTC times.

    A duration reads like `36 hours` or `3 months`. Hours and minutes are exact; days, weeks, months and years follow
    the calendar of `time_zone`. `sign=-1` subtracts.
    """
    matched = DURATION.fullmatch(duration)
    assert matched is not None, duration  # the configuration has been validated
    count, unit = sign * int(matched[1]), matched[2]
    if unit in EXACT_UNITS:
        return times + pd.Timedelta(f"{count} {unit}")
    offsets: dict[str, Any] = {f"{unit}s": count}
    return to_utc(times.dt.tz_convert(time_zone).dt.tz_localize(None) + pd.DateOffset(**offsets), time_zone)


def to_utc(
    times: pd.Series, time_zone: str, nonexistent: Literal["raise", "shift_forward"] = "shift_forward"
) -> pd.Series:
    """Convert naive local times to UTC.

    An hour that occurs twice, when clocks go back, is taken as the second one: rather too late than too early.
    """
    second = np.zeros(len(times), dtype=bool)  # pandas' flag for daylight saving time
    return times.dt.tz_localize(time_zone, ambiguous=second, nonexistent=nonexistent).dt.tz_convert("UTC")


def cut_to_window(frame: pd.DataFrame, window: Window | None, config: PipelineConfig) -> pd.DataFrame:
    """Keep the rows of `[start, end)` by the time column.

    The column's values become UTC. With a `label_delay`, rows whose outcome was not yet known at the end are dropped
    too. Without a time column the frame is returned unchanged. Raises DataError on an empty window, and on missing or
    malformed times.
    """
    if config.time_column is None:
        return frame
    times = parse_times(frame, config.time_column, config.clock)
    frame = frame.assign(**{config.time_column: times})
    window = window or Window()
    keep = pd.Series(True, index=frame.index)
    if window.start is not None:
        keep &= times >= window.start
    if window.end is not None:
        keep &= known_times(times, config) < window.end
    if not keep.any():
        raise DataError(
            f"window: {window} contains none of {len(frame)} rows, which lie between {times.min()} and {times.max()}; "
            "choose another window"
        )
    return (frame if keep.all() else frame[keep]).reset_index(drop=True)


def known_times(times: pd.Series, config: PipelineConfig) -> pd.Series:
    """Return when each row's outcome is known. This is the row's time plus `label_delay`."""
    return shift_times(times, config.label_delay, config.clock) if config.label_delay else times


def parse_times(frame: pd.DataFrame, time_column: str, time_zone: str) -> pd.Series:
    """Return a column as UTC times.

    Naive times count as local times of `time_zone`. Raises DataError when the column is missing, holds numbers or
    nulls, mixes zoned and naive times, or cannot be parsed.
    """
    if time_column not in frame:
        raise DataError(f"time_column: {time_column!r} is no column; the data has {', '.join(map(str, frame.columns))}")
    values, place = frame[time_column], f"time_column: {time_column!r}"
    if is_numeric_dtype(values):
        values = times_from_numbers(values, place, None, None)
    times = values if is_datetime64_any_dtype(values) else parse_time_texts(values, place, None, None)
    try:
        times = to_utc(times, time_zone, nonexistent="raise") if times.dt.tz is None else times.dt.tz_convert("UTC")
    except ValueError as error:
        reason = str(error).splitlines()[0].partition(". You might")[0].partition(". Try")[0]
        raise DataError(f"{place} cannot be read as times ({reason}); state time_zone, or fix the values") from error
    if times.isna().any():
        name = time_column if time_column.isidentifier() else f"`{time_column}`"
        raise DataError(
            f"time_column: {time_column!r} is null in {counted(int(times.isna().sum()), 'row')}; fill it in the "
            f'source, or leave those rows out: `rows: {{where: "{name}.notna()"}}`'
        )
    return times


def _parse_moment(conf: Mapping[str, Any], name: str) -> datetime | None:
    value = conf.get(name)
    if value in (None, ""):
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ConfigError(
            f"{name}: {value!r} is no time; write it like 2013-04-01 or 2013-04-01T00:00:00+00:00"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
