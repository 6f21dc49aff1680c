"""Names of runs and versions. People read them in MLflow's lists."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from waterflow.config.schedule import Schedule
from waterflow.config.schema import PipelineConfig
from waterflow.records.evaluation import Evaluated
from waterflow.records.run import Origin, Window

CADENCES = {
    "@hourly": "hourly",
    "@daily": "daily",
    "@weekly": "weekly",
    "@monthly": "monthly",
    "@yearly": "yearly",
    "0 0 1 * *": "monthly",
}
SEPARATOR = " · "


def run_title(origin: Origin, window: Window | None, config: PipelineConfig) -> str:
    """Return the name of a parent run. Its period or moment, and what started it: `2013-05 · monthly`."""
    kind, is_generated, moment = origin.run_id.partition("__")
    period = name_period(window, config.clock) if config.time_column else None
    when = period or _minute(moment)
    if not is_generated or when is None:
        return SEPARATOR.join(filter(None, [period, origin.run_id]))
    return SEPARATOR.join([when, _started_by(kind, config.schedule)])


def version_title(evaluated: Evaluated, window: Window | None, config: PipelineConfig) -> str:
    """Return the first line of a description. Candidate, main metric, period: `xgboost 0.658 · 2013-05`."""
    value = evaluated.holdout_metrics.get(config.metrics.main)
    model = evaluated.winner.candidate + ("" if value is None else f" {value:.3f}")
    period = name_period(window, config.clock) if config.time_column else None
    return SEPARATOR.join([model, period] if period else [model])


def name_period(window: Window | None, zone: str) -> str | None:
    """Return a window in calendar months or days. None where it has no end."""
    if window is None or window.end is None:
        return None
    end = window.end.astimezone(ZoneInfo(zone))
    start = window.start.astimezone(ZoneInfo(zone)) if window.start else None
    if end.time() != time.min:
        return f"{start:%Y-%m-%d} to {end:%Y-%m-%d %H:%M}" if start else f"until {end:%Y-%m-%d %H:%M}"
    are_months = end.day == 1 and (start is None or (start.day, start.time()) == (1, time.min))
    shape = "%Y-%m" if are_months else "%Y-%m-%d"
    last = format(end - timedelta(days=1), shape)
    first = last if start is None else format(start, shape)
    return last if first == last else f"{first} to {last}"


def _started_by(kind: str, schedule: Schedule | None) -> str:
    if kind in ("scheduled", "backfill") and schedule is not None:
        return CADENCES.get(schedule.cron, kind)
    return {"cli": "command line"}.get(kind, kind)


def _minute(moment: str) -> str | None:
    try:
        return f"{datetime.fromisoformat(moment.partition('_')[0]):%Y-%m-%d %H:%M}"
    except ValueError:
        return None
