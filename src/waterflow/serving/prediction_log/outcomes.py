"""Recording what really happened to what was predicted.

Posting again changes nothing. An outcome that contradicts a recorded one, was known before its prediction was made, or
is not known yet, is refused. One whose prediction is not on record is kept: the prediction may not be sealed yet, or
not be in the sample.
"""

import math
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from waterflow.ledger.prediction_index import PredictionIndex
from waterflow.records.prediction_log import Outcome, PostedOutcome, RecordedOutcomes, RefusedOutcome
from waterflow.serving.prediction_log.frames import time_of_id

CLOCKS_DIFFER = timedelta(minutes=5)
LONGEST_KEY = 255


class _NotRecordedError(Exception):
    """Why an outcome is refused."""


def record_outcomes(
    pipeline: str, posted: Sequence[PostedOutcome], index: PredictionIndex, *, keep_days: int
) -> RecordedOutcomes:
    """Record outcomes of a pipeline's predictions, each on its own.

    Raises UnreachableError where the database is away: then nothing is certain, and posting again is safe.
    """
    now, refused = datetime.now(UTC), []
    accepted: dict[int, Outcome] = {}
    for position, entry in enumerate(posted):
        try:
            accepted[position] = _checked(pipeline, entry, now, keep_days)
        except _NotRecordedError as error:
            refused.append(RefusedOutcome(position=position, reference=entry.id or entry.key or "", reason=str(error)))
    batch = uuid.uuid4().hex
    first: dict[str, int] = {}
    for position, outcome in accepted.items():
        first.setdefault(outcome.reference, position)
    known = {
        outcome.reference: (outcome.outcome, written_by)
        for outcome, written_by in index.add_outcomes(batch, [accepted[position] for position in first.values()])
    }
    recorded = 0
    for position, outcome in accepted.items():
        value, written_by = known[outcome.reference]
        if value != outcome.outcome:
            reason = f"{outcome.outcome} contradicts {value}, which is recorded; outcomes are not changed"
            refused.append(RefusedOutcome(position=position, reference=outcome.reference, reason=reason))
        else:
            recorded += written_by == batch and first[outcome.reference] == position
    refused.sort(key=lambda entry: entry.position)
    return RecordedOutcomes(recorded=recorded, repeated=len(posted) - recorded - len(refused), refused=tuple(refused))


def _checked(pipeline: str, posted: PostedOutcome, now: datetime, keep_days: int) -> Outcome:
    if (posted.id is None) == (posted.key is None):
        raise _NotRecordedError("give either id, of a prediction, or key, as it was sent with the request")
    known_at = now if posted.known_at is None else _in_utc(posted.known_at)
    if known_at > now + CLOCKS_DIFFER:
        raise _NotRecordedError(f"known_at {known_at.isoformat()} lies in the future; post it when it is known")
    if posted.key is not None:
        _check_key(posted.key)
        if posted.known_at is None:
            raise _NotRecordedError("known_at is missing; with a key it tells one outcome from the next")
    if posted.id is not None:
        predicted_at = time_of_id(posted.id)
        if predicted_at is None:
            raise _NotRecordedError(f"{posted.id[:80]!r} is no id of a prediction; copy it from the answer")
        if known_at < predicted_at:
            raise _NotRecordedError(
                f"known_at {known_at.isoformat()} is before the prediction, made at {predicted_at.isoformat()}"
            )
    return Outcome(
        pipeline=pipeline,
        prediction_id=posted.id,
        key=posted.key,
        outcome=_as_json(posted.outcome),
        known_at=known_at,
        keep_until=now.date() + timedelta(days=keep_days),
    )


def _check_key(key: str) -> None:
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise _NotRecordedError(f"key {key[:40]!r} is not valid; valid: 1 to {LONGEST_KEY} printable characters")


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise _NotRecordedError(f"known_at {moment.isoformat()} has no time zone; write it like 2026-01-31T12:00:00Z")
    return moment.astimezone(UTC)


def _as_json(value: Any) -> str:
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return msgspec.json.encode(value).decode()
    raise _NotRecordedError(f"outcome {str(value)[:80]!r} is no label and no finite number")
