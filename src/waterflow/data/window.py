"""Which rows a run may see: one pure function says the window, one place cuts to it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd

from waterflow.errors import ConfigError, DataError
from waterflow.records import Window

RunType = Literal["manual", "scheduled", "backfill", "asset_triggered"]


def window_of(run_type: str, interval_end: datetime | None, conf: Mapping[str, Any], now: datetime) -> Window:
    """Say the window of a run from its type, its data interval and its trigger conf.

    A scheduled or backfill run sees everything before the end of its data interval. A manual run takes
    `window_start` and `window_end` from the form, or everything up to `now`; the interval that Airflow
    attaches to a manual run is the last complete one and says nothing about what a person wants.

    Raises ConfigError on a time that cannot be read or a window that ends before it starts.
    """
    start = _read_moment(conf, "window_start")
    end = _read_moment(conf, "window_end")
    if run_type in ("scheduled", "backfill") and end is None:
        if interval_end is None:
            raise ConfigError(f"window: a {run_type} run without a data interval; give the DAG an interval schedule")
        end = interval_end
    window = Window(start=start, end=end or now)
    if window.start is not None and window.end is not None and window.start >= window.end:
        raise ConfigError(f"window: {window} ends before it starts; window_start must lie before window_end")
    return window


def cut_to_window(frame: pd.DataFrame, time_column: str | None, window: Window | None) -> pd.DataFrame:
    """Keep the rows of `[start, end)` by `time_column`, whose values become UTC; nothing else cuts rows.

    Without a time column the frame comes back whole. Raises DataError on an empty window, and on times that
    are missing or cannot be read.
    """
    if time_column is None:
        return frame
    times = _read_times(frame, time_column)
    frame = frame.assign(**{time_column: times})
    window = window or Window()
    keep = pd.Series(True, index=frame.index)
    if window.start is not None:
        keep &= times >= window.start
    if window.end is not None:
        keep &= times < window.end
    if not keep.any():
        raise DataError(
            f"window: {window} holds none of {len(frame)} rows, which lie from {times.min()} to {times.max()}; "
            "choose another window"
        )
    return frame[keep].reset_index(drop=True)


def _read_times(frame: pd.DataFrame, time_column: str) -> pd.Series:
    if time_column not in frame:
        raise DataError(f"time_column: {time_column!r} is no column; the data has {', '.join(map(str, frame.columns))}")
    try:
        times = pd.to_datetime(frame[time_column], utc=True)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"time_column: {time_column!r} cannot be read as times ({reason}); mend the values") from error
    if times.isna().any():
        raise DataError(f"time_column: {time_column!r} is empty in {int(times.isna().sum())} rows; fill or remove them")
    return times


def _read_moment(conf: Mapping[str, Any], name: str) -> datetime | None:
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
