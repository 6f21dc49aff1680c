"""Records of the prediction log: sealed files, ended workers, outcomes."""

from datetime import date, datetime
from typing import Any

from waterflow.records.base import Record


class SealedSegment(Record):
    """A Parquet file of the prediction log, by its digest.

    It holds one pipeline's rows of one day in UTC. `source` is the spool file that it was made of, `keep_until` the
    last day on which it is needed.
    """

    source: str
    pipeline: str
    day: date
    keep_until: date
    digest: str
    size_bytes: int
    row_count: int
    first_at: datetime
    last_at: datetime


class WorkerTotals(Record):
    """The rows that a worker took, by their fate.

    `accepted` went into memory, `sealed` are in the store, `dropped` were refused because a bound was reached, `lost`
    were in memory when the worker died.
    """

    worker: str
    accepted: int
    sealed: int
    dropped: int
    lost: int = 0


class Outcome(Record):
    """What really happened to what was predicted. Either `prediction_id` or the caller's `key` names it.

    `outcome` is a label or number as JSON. An outcome by key belongs to the predictions of that key since its last one.
    """

    pipeline: str
    prediction_id: str | None
    key: str | None
    outcome: str
    known_at: datetime
    keep_until: date

    @property
    def reference(self) -> str:
        """What no two outcomes of a pipeline share."""
        return f"id:{self.prediction_id}" if self.key is None else f"key:{self.key}@{self.known_at.isoformat()}"


class PostedOutcome(Record):
    """An outcome as somebody reports it. It names a prediction by `id` or `key`; `known_at` is now by default."""

    outcome: Any
    id: str | None = None
    key: str | None = None
    known_at: datetime | None = None


class RefusedOutcome(Record):
    """An outcome that was not recorded. `position` counts from 0."""

    position: int
    reference: str
    reason: str


class RecordedOutcomes(Record):
    """What became of some posted outcomes. `repeated` were known before, with the same value."""

    recorded: int
    repeated: int
    refused: tuple[RefusedOutcome, ...]
