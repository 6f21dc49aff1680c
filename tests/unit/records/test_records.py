from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from waterflow.records.data import Blob, Prepared, Share
from waterflow.records.evaluation import Evaluated
from waterflow.records.run import Origin, Window
from waterflow.records.training import Trained

BLOB = Blob(key="blobs/ab/abc", digest="abc", size_bytes=3)


def test_a_record_survives_json() -> None:
    """What a task gives to the next one is what the next one gets."""
    prepared = Prepared(
        pipeline="flowers",
        origin=Origin(runner="airflow", run_id="manual__1", dag_id="train_flowers"),
        action_key="k",
        experiment_id="1",
        parent_run_id="p",
        config=BLOB,
        data=BLOB,
        split=BLOB,
        window=Window(end=datetime(2026, 1, 1, tzinfo=UTC)),
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
        rows=3,
        shares=(Share(part="train", rows=2, by_class={"a": 2}),),
        candidates=("nb",),
    )
    assert Prepared.from_json(prepared.to_json()) == prepared


def test_a_record_is_frozen() -> None:
    """No step can change what another one said."""
    with pytest.raises(ValidationError):
        BLOB.key = "other"  # type: ignore[misc]


def test_a_record_refuses_what_it_does_not_know() -> None:
    """A record of another version is an error, not half a record."""
    with pytest.raises(ValidationError):
        Blob.from_json({**BLOB.to_json(), "colour": "red"})


def test_a_window_is_kept_in_utc() -> None:
    """A time of another zone is the same moment, written in UTC."""
    there = datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    assert Window(end=there).end == datetime(2026, 1, 1, tzinfo=UTC)
    assert Window(end=there).end.utcoffset() == timedelta(0)  # type: ignore[union-attr]


def test_a_window_without_a_zone_is_utc() -> None:
    """A form's time without a zone is never local time."""
    assert Window(end=datetime(2026, 1, 1)).end == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_window_reads_as_a_half_open_range() -> None:
    """The bracket that includes and the one that does not can be seen."""
    window = Window(start=datetime(2013, 1, 1), end=datetime(2013, 2, 1, 12))
    assert str(window) == "[2013-01-01, 2013-02-01T12:00:00+00:00)"
    assert str(Window()) == "[…, …)"


def test_the_winner_is_the_first_of_the_ranked() -> None:
    """Ranking and winner cannot disagree."""
    entries = tuple(
        Trained(
            candidate=name,
            action_key="k",
            run_id="r",
            model_id="m",
            scored_on="test",
            metrics={},
            fit_seconds=0.1,
        )
        for name in ("a", "b")
    )
    evaluated = Evaluated(
        ranked=entries,
        missing=(),
        main_metric="accuracy",
        exploratory=False,
        holdout_rows=1,
        holdout_metrics={},
        gate=None,
    )
    assert evaluated.winner is evaluated.ranked[0]


def test_an_evaluation_without_a_candidate_cannot_be_written() -> None:
    """There is no winner of nothing."""
    with pytest.raises(ValidationError):
        Evaluated(
            ranked=(),
            missing=("a",),
            main_metric="accuracy",
            exploratory=False,
            holdout_rows=1,
            holdout_metrics={},
            gate=None,
        )
