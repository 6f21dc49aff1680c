"""Which rows a run may see: one pure function says the window, one place cuts to it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd

from waterflow.config.schema import DURATION, WindowConfig
from waterflow.errors import ConfigError, DataError
from waterflow.records import Window

ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"
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


def apply_rule(window: Window, rule: WindowConfig) -> Window:
    """Give a window its start by the pipeline's rule, where nobody stated one.

    Raises ConfigError when the window ends before the first day that the rule allows.
    """
    if window.start is not None:
        return window
    start = None
    if rule.start is not None:
        start = datetime(rule.start.year, rule.start.month, rule.start.day, tzinfo=UTC)
        if window.end is not None and window.end <= start:
            raise ConfigError(
                f"window: {window} ends before window.start {rule.start} of the pipeline; choose a later window_end"
            )
    elif rule.lookback is not None and window.end is not None:
        start = (pd.Timestamp(window.end) - offset_of(rule.lookback)).to_pydatetime()
    return window.model_copy(update={"start": start})


def offset_of(duration: str) -> pd.DateOffset:
    """Turn a duration such as `36 hours` or `3 months` into what can be added to times; months are calendar months."""
    found = DURATION.fullmatch(duration)
    assert found is not None, duration  # the configuration has been checked
    parts: dict[str, Any] = {f"{found[2]}s": int(found[1])}
    return pd.DateOffset(**parts)


def cut_to_window(
    frame: pd.DataFrame, time_column: str | None, window: Window | None, label_delay: str | None = None
) -> pd.DataFrame:
    """Keep the rows of `[start, end)` by `time_column`, whose values become UTC; nothing else cuts rows.

    With a `label_delay`, a row whose outcome was known only at or after the end is left out as well: it would
    carry the future into the training rows. Without a time column the frame comes back whole. Raises DataError
    on an empty window, and on times that are missing or cannot be read.
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
        known = times + offset_of(label_delay) if label_delay else times
        keep &= known < window.end
    if not keep.any():
        raise DataError(
            f"window: {window} holds none of {len(frame)} rows, which lie from {times.min()} to {times.max()}; "
            "choose another window"
        )
    return (frame if keep.all() else frame[keep]).reset_index(drop=True)


def _read_times(frame: pd.DataFrame, time_column: str) -> pd.Series:
    if time_column not in frame:
        raise DataError(f"time_column: {time_column!r} is no column; the data has {', '.join(map(str, frame.columns))}")
    values = frame[time_column]
    if pd.api.types.is_numeric_dtype(values):
        raise DataError(
            f"time_column: {time_column!r} holds numbers ({values.dtype}), such as {values.iloc[0]}; "
            "times are needed, as text like 2013-04-01 or as datetimes"
        )
    _check_zones(values, time_column)
    try:
        times = _parse(values)
    except (ValueError, TypeError) as error:
        reason = str(error).splitlines()[0].partition(". You might")[0]
        raise DataError(f"time_column: {time_column!r} cannot be read as times ({reason}); mend the values") from error
    if times.isna().any():
        raise DataError(f"time_column: {time_column!r} is empty in {int(times.isna().sum())} rows; fill or remove them")
    return times


def _parse(values: pd.Series) -> pd.Series:
    """Read ISO 8601 in any of its lengths, else one other format throughout."""
    try:
        return pd.to_datetime(values, utc=True, format="ISO8601")
    except ValueError:
        return pd.to_datetime(values, utc=True)


def _check_zones(values: pd.Series, time_column: str) -> None:
    """Refuse a column in which some times have a zone and some have none: nobody can say which moment is meant.

    Different offsets, as summer time gives, are exact and pass.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return
    zoned = values.dropna().astype("str").str.strip().str.contains(ZONE, regex=True)
    if zoned.any() and not zoned.all():
        raise DataError(
            f"time_column: {time_column!r} mixes times with a zone and without ({int(zoned.sum())} of {len(zoned)} "
            f"have one; {values.dropna()[~zoned].iloc[0]!r} has none); give every time its zone, or none"
        )


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
