from datetime import UTC, datetime

import pytest

from waterflow.ledger.replay import (
    find_inconsistencies,
    find_reference,
    last_change,
    previous_champion,
    rolled_back,
    sum_refreshes,
)
from waterflow.records.evaluation import Verdict
from waterflow.records.promotion import Decision


def row(number: int, kind: str, before: int | None, after: int | None, day: int | None = None) -> Decision:
    """Write one row of the ledger, decided at noon of a day in January."""
    return Decision.model_validate(
        {
            "model": "flowers",
            "sequence": number,
            "kind": kind,
            "from_version": before,
            "to_version": after,
            "version": after,
            "reason": "because",
            "actor": "me",
            "decided_at": datetime(2026, 1, day or number, 12, tzinfo=UTC),
        }
    )


SERVED = {number: f"m-{number}" for number in (1, 2, 3)}
HISTORY = [
    row(1, "promote", None, 1),
    row(2, "hold", 1, 1),
    row(3, "promote", 1, 3),
    row(4, "reject", 3, 3),
    row(5, "rollback", 3, 1),
]


@pytest.mark.parametrize(
    ("day", "version"), [(1, None), (2, 1), (3, 1), (4, 3), (5, 3), (6, 1)], ids=lambda value: str(value)
)
def test_the_champion_of_a_moment_is_known(day: int, version: int | None) -> None:
    """It is whom the last change before that moment made champion."""
    found = last_change(HISTORY, datetime(2026, 1, day, tzinfo=UTC))
    assert (found.to_version if found else None) == version


def test_the_champion_before_is_known() -> None:
    """A hold or a rejection in between does not count, nor a time without a champion."""
    assert previous_champion(HISTORY[:4]) == HISTORY[0]
    assert previous_champion(HISTORY[:2]) is None
    assert previous_champion([]) is None
    assert previous_champion([HISTORY[0], row(2, "manual", 1, None), row(3, "promote", None, 2)]) == HISTORY[0]


def test_one_number_can_name_two_models() -> None:
    """After a deleted registered model version 1 is another one; its id tells them apart."""
    first = HISTORY[0].model_copy(update={"model_id": "m-old"})
    second = row(3, "promote", None, 1).model_copy(update={"model_id": "m-new"})
    entries = [first, row(2, "manual", 1, None), second]
    assert previous_champion(entries) == first
    assert find_inconsistencies(entries, alias=1, models={1: "m-new"}, is_projected=True) == []
    assert find_inconsistencies(entries, alias=1, models={1: "m-old"}, is_projected=True) == [
        "version 1 is another model now: the registry serves m-old, and row 3 made m-new champion"
    ]
    undone = row(4, "rollback", 1, 2).model_copy(update={"model_id": "m-2"})
    assert set(rolled_back([*entries, undone])) == {(1, "m-new")}


def test_what_was_rolled_back_is_known_until_it_comes_back() -> None:
    """A version that was put in place again is no longer suspect."""
    assert set(rolled_back(HISTORY)) == {(3, None)}
    assert rolled_back([*HISTORY, row(6, "promote", 1, 3)]) == {}


def test_refreshes_are_summed_since_a_version_last_won() -> None:
    """Whatever was held or rolled back in between."""
    verdict = Verdict(
        outcome="hold",
        reason="",
        metric="f1",
        against="version 1",
        rows=9,
        disjoint=True,
        alpha=0.05,
        min_gain=0,
        resamples=200,
        difference=-0.01,
    )
    refreshed = [
        row(number, kind, 1, 1).model_copy(update={"verdict": verdict})
        for number, kind in enumerate(("refresh", "promote", "refresh", "hold", "refresh", "rollback"), 1)
    ]
    assert sum_refreshes(refreshed) == pytest.approx(-0.02)
    assert sum_refreshes([]) == 0.0


def test_the_reference_of_a_refresh_is_the_last_version_that_won() -> None:
    """Through all refreshes since, and through a rollback to one of them; a version set by hand is its own."""
    entries = [
        row(1, "promote", None, 1),
        row(2, "refresh", 1, 2),
        row(3, "hold", 2, 2),
        row(4, "refresh", 2, 4),
        row(5, "promote", 4, 5),
        row(6, "refresh", 5, 6),
    ]
    assert [find_reference(entries[:end], champion, None)[0] for end, champion in ((1, 1), (4, 4), (6, 6))] == [1, 1, 5]
    assert find_reference([*entries, row(7, "rollback", 6, 4), row(8, "refresh", 4, 8)], 8, None) == (1, None)
    assert find_reference([*entries, row(7, "manual", 6, 7), row(8, "refresh", 7, 8)], 8, None) == (7, None)
    assert find_reference([*entries, row(7, "manual", 6, 2)], 2, None) == (1, None)
    assert find_reference([], 3, "m-3") == (3, "m-3")


def test_a_ledger_that_the_registry_follows_has_no_problem() -> None:
    """Rows in a chain, the alias at its end, the version there."""
    assert find_inconsistencies(HISTORY, alias=1, models=SERVED, is_projected=True) == []
    assert find_inconsistencies([], alias=None, models={}, is_projected=False) == []


@pytest.mark.parametrize(
    ("rows", "alias", "versions", "is_projected", "reason"),
    [
        (HISTORY, 2, {1, 2, 3}, True, "on version 2, but the ledger's champion is version 1: it was moved by hand"),
        (HISTORY, None, {1, 2, 3}, True, "on no version, but the ledger's champion is version 1"),
        ([], 4, {4}, False, "on version 4, but the ledger's champion is no version"),
        (HISTORY, 3, {1, 2, 3}, True, "it was moved by hand"),
        (HISTORY, 3, {1, 2, 3}, False, "row 5 made version 1 champion, but the alias is still on version 3"),
        (HISTORY, 1, {2, 3}, True, "champion version 1 is no longer in the registry"),
        (HISTORY[:1] + HISTORY[2:], 1, {1, 3}, True, "row 2 is missing"),
        ([row(1, "promote", 7, 1)], 1, {1}, True, "row 1 starts from version 7, but champion was no version"),
        ([*HISTORY[:1], row(2, "hold", 1, 2)], 2, {1, 2}, True, "is a hold and yet moves the champion to version 2"),
        ([row(1, "promote", None, 1, 9), row(2, "hold", 1, 1, 3)], 1, {1}, True, "row 2 is older than the one before"),
    ],
)
def test_what_does_not_follow_is_reported(
    rows: list[Decision], alias: int | None, versions: set[int], is_projected: bool, reason: str
) -> None:
    """One line for each thing, with what was found and what should be."""
    found = find_inconsistencies(rows, alias, {number: f"m-{number}" for number in versions}, is_projected=is_projected)
    assert len(found) == 1, found
    assert reason in found[0]
