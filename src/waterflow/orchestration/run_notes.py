"""A note on each DAG run, in words.

Airflow names a run by its type and time; its note stands beside that in lists and on the run's page.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.listeners import hookimpl

# The values of the trigger form that say what a run is about, in the order of the note.
WORDS = ("scenario", "strategy", "candidates")


@hookimpl
def on_dag_run_running(dag_run: Any) -> None:
    """Note the interval of a training run without a note. The scheduler calls this."""
    if dag_run.dag_id.startswith("train_") and not dag_run.note:
        interval = dag_run.data_interval_start, dag_run.data_interval_end
        dag_run.note = describe_run(dag_run.run_type, *interval, dag_run.conf or {}) or None


def describe_run(run_type: str, start: datetime | None, end: datetime | None, conf: Mapping[str, Any]) -> str:
    """Return what a run is about: `2013-05 · scheduled`."""
    parts = []
    if run_type in ("scheduled", "backfill") and start and end:
        parts += [describe_interval(start, end), str(run_type)]
    elif any(conf.get(name) for name in ("window_start", "window_end")):
        parts.append(f"{conf.get('window_start') or '…'} to {conf.get('window_end') or 'now'}")
    for name in WORDS:
        value = conf.get(name)
        parts += [", ".join(value) if isinstance(value, list) else str(value)] if value else []
    return " · ".join([*parts, *(["forced"] if conf.get("force") is True else [])])[:200]


def describe_interval(start: datetime, end: datetime) -> str:
    """Return an interval in words. A month is `2013-05`, a day `2013-05-01`; else both ends."""
    if start.day == 1 and end.day == 1 and timedelta(days=27) < end - start < timedelta(days=32):
        return f"{start:%Y-%m}"
    if timedelta(hours=22) < end - start < timedelta(hours=26):
        return f"{start:%Y-%m-%d}"
    return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"
