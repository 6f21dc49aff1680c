"""Outcomes of predictions: idempotent, and refused by clear rules."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.served import QUICK, answered, open_stores, seconds

from waterflow.config.schema import LogConfig
from waterflow.ledger.prediction_index import PredictionIndex
from waterflow.records.prediction_log import PostedOutcome, RecordedOutcomes
from waterflow.serving.prediction_log.frames import new_request_id
from waterflow.serving.prediction_log.outcomes import record_outcomes
from waterflow.serving.prediction_log.reading import read_predictions
from waterflow.serving.prediction_log.sealing import seal_spool
from waterflow.serving.prediction_log.spool import PredictionLog
from waterflow.stores.folder import FolderStore

NOW = datetime.now(UTC)
Stores = tuple[FolderStore, PredictionIndex]


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """Open a store and an index of this test alone."""
    return open_stores(tmp_path)


def post(stores: Stores, *outcomes: dict[str, Any]) -> RecordedOutcomes:
    """Post outcomes of `flowers`."""
    return record_outcomes("flowers", [PostedOutcome(**one) for one in outcomes], stores[1], keep_days=30)


def new_id() -> str:
    """Return the id of a prediction that was made just now."""
    return f"{new_request_id()}-0"


def test_posting_again_changes_nothing(stores: Stores) -> None:
    """Twice in one request, or in two: it is recorded once."""
    one, other = {"id": new_id(), "outcome": "setosa"}, {"key": "c 1", "outcome": 2.5, "known_at": NOW}
    assert post(stores, one, other, one) == RecordedOutcomes(recorded=2, repeated=1, refused=())
    assert post(stores, one, other) == RecordedOutcomes(recorded=0, repeated=2, refused=())


def test_a_contradiction_is_refused_and_the_rest_recorded(stores: Stores) -> None:
    """The first stays, whether the second comes with it or later."""
    name, other = new_id(), new_id()
    told = post(stores, {"id": name, "outcome": 1}, {"id": name, "outcome": 0}, {"id": other, "outcome": 1})
    assert (told.recorded, [entry.position for entry in told.refused]) == (2, [1])
    again = post(stores, {"id": name, "outcome": True})
    assert again.refused[0].reason == "true contradicts 1, which is recorded; outcomes are not changed"


@pytest.mark.parametrize(
    ("posted", "reason"),
    [
        ({"outcome": 1}, "give either id"),
        ({"id": new_id(), "key": "c", "outcome": 1}, "give either id"),
        ({"id": "17", "outcome": 1}, "'17' is no id of a prediction"),
        ({"id": new_id(), "outcome": 1, "known_at": NOW - timedelta(hours=1)}, "is before the prediction"),
        ({"id": new_id(), "outcome": 1, "known_at": NOW + timedelta(hours=1)}, "lies in the future"),
        ({"id": new_id(), "outcome": 1, "known_at": datetime(2026, 1, 1)}, "has no time zone"),
        ({"key": "c", "outcome": 1}, "known_at is missing"),
        ({"key": "", "outcome": 1, "known_at": NOW}, "key '' is not valid"),
        ({"key": "a\x00b", "outcome": 1, "known_at": NOW}, "is not valid"),
        ({"id": new_id(), "outcome": None}, "outcome 'None' is no label"),
        ({"id": new_id(), "outcome": float("nan")}, "outcome 'nan' is no label"),
        ({"id": new_id(), "outcome": [1]}, "is no label"),
    ],
)
def test_what_cannot_be_an_outcome_is_refused(stores: Stores, posted: dict[str, Any], reason: str) -> None:
    """Each with its reason, and nothing of it is recorded."""
    told = post(stores, posted)
    assert (told.recorded, told.repeated) == (0, 0)
    assert reason in told.refused[0].reason


def test_more_outcomes_than_a_statement_takes(stores: Stores) -> None:
    """They are written in portions."""
    many = [{"key": f"c {number}", "outcome": number, "known_at": NOW} for number in range(1_200)]
    assert post(stores, *many).recorded == 1_200


def test_outcomes_join_the_predictions_that_they_are_of(tmp_path: Path, stores: Stores) -> None:
    """By id one row; by key the rows since the key's last outcome; other rows have none."""
    log = PredictionLog(tmp_path / "spool", QUICK)
    hours = {name: answered(keys=["ann"], at=seconds(NOW - timedelta(hours=name))) for name in (5, 4, 2, 1)}
    unknown = answered(keys=["bob"], at=time.time() - 60)
    for rows in (*hours.values(), unknown):
        log.append(rows, LogConfig())
    log.close()
    seal_spool(tmp_path / "spool", *stores)
    post(
        stores,
        {"key": "ann", "outcome": "first", "known_at": NOW - timedelta(hours=3)},
        {"key": "ann", "outcome": "second", "known_at": NOW},
        {"id": f"{hours[1].id}-0", "outcome": "by id"},
    )
    store, index = stores
    rows = read_predictions("flowers", NOW - timedelta(hours=9), datetime.now(UTC), index=index, store=store)
    assert rows["outcome"].dropna().tolist() == ["first", "first", "second", "by id"]
    assert rows[["outcome", "outcome_known_at"]].isna().to_numpy().tolist() == [[False] * 2] * 4 + [[True] * 2]


def test_outcomes_are_forgotten_when_they_need_not_be_kept(stores: Stores) -> None:
    """They expire by the same number of days as predictions."""
    post(stores, {"id": new_id(), "outcome": 1})
    index, today = stores[1], NOW.date()
    assert index.remove_expired_outcomes(today + timedelta(days=30)) == 0
    assert index.remove_expired_outcomes(today + timedelta(days=31)) == 1
    assert index.find_outcomes("flowers", NOW - timedelta(days=1), today) == []
