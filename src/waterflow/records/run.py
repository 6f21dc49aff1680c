"""Records of what starts a run: request, origin and window."""

from datetime import UTC, datetime
from typing import Literal

from pydantic import field_validator

from waterflow.records.base import Record


class Window(Record):
    """The half-open time range `[start, end)` of a run's rows. The run may see these only. None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None

    @field_validator("start", "end")
    @classmethod
    def _in_utc(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    def __str__(self) -> str:
        """Return the range as documentation writes it: `[2013-01-01, 2013-02-01)`."""
        return f"[{_moment(self.start)}, {_moment(self.end)})"


class Origin(Record):
    """What started a run. `run_id` is Airflow's DAG run id, or one that the command line made.

    `clear_number` counts how often the DAG run was cleared: a retry keeps it, a deliberate repetition raises it.
    """

    runner: Literal["airflow", "cli", "step"]
    run_id: str
    dag_id: str | None = None
    try_number: int = 1
    clear_number: int = 0
    map_index: int | None = None


class RunRequest(Record):
    """The request for a run, by a person or schedule.

    `strategy` and `candidates` replace those of the pipeline's YAML, `scenario` composes a file of `conf/scenario/`
    over it; all are names only. `overrides` are Hydra's, from the command line; Airflow never sends any. `force` fits
    and evaluates again what an earlier run has done.
    """

    pipeline: str
    origin: Origin
    window: Window | None = None
    strategy: str | None = None
    scenario: str | None = None
    candidates: tuple[str, ...] | None = None
    overrides: tuple[str, ...] = ()
    force: bool = False


def _moment(moment: datetime | None) -> str:
    if moment is None:
        return "…"
    return moment.date().isoformat() if moment.time() == moment.min.time() else moment.isoformat()
