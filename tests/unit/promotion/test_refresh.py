"""Refreshes in a row: which attempts count, what each may spend, and what they may lose together."""

from datetime import UTC, datetime

import pytest
from support.simulated_refreshes import CONFIG, MARGIN, Refreshed, simulate, worse_than_champion, worse_than_reference

from waterflow.promotion.refresh import KEY_LENGTH, key_of_attempt, number_attempt
from waterflow.records.data import Blob
from waterflow.records.promotion import Decision, Look


def look(minute: int, key: str) -> Look:
    """Write one look, taken at a minute after noon."""
    return Look(
        model="flowers",
        sequence=minute,
        evaluation_key=key,
        run_id="",
        rows=Blob(key="", digest="", size_bytes=0),
        row_count=30,
        number=1,
        alpha=0.05,
        looked_at=datetime(2026, 1, 1, 12, minute, tzinfo=UTC),
    )


def decision(minute: int, kind: str) -> Decision:
    """Write one row of the ledger, decided at a minute after noon."""
    empty = dict.fromkeys(("from_version", "to_version", "version"), 1)
    moment = datetime(2026, 1, 1, 12, minute, 30, tzinfo=UTC)
    row = {"model": "flowers", "sequence": 1, "kind": kind, "reason": "", "actor": "", "decided_at": moment}
    return Decision.model_validate(row | empty)


def test_all_attempts_since_a_version_was_promoted_count() -> None:
    """Held or never decided; a look at another recipe is no attempt, and the same evaluation again is the same one."""
    first, second, third = (key_of_attempt(letter * 64) for letter in "abc")
    assert len(first) == KEY_LENGTH
    looks = [look(1, first), look(2, "d" * 64), look(3, second)]
    assert number_attempt([], looks, third) == 3
    assert number_attempt([], looks, second) == 2
    assert number_attempt([decision(1, "refresh")], looks, third) == 2
    assert number_attempt([decision(1, "promote"), decision(3, "hold")], looks, third) == 2
    assert number_attempt([decision(3, "promote")], looks, third) == 1


@pytest.mark.parametrize(("reuse", "alphas"), [("spend", [0.05, 0.025, 0.05 / 6]), ("ignore", [0.05] * 3)])
def test_attempts_that_are_held_leave_less_to_the_next(
    reuse: str, alphas: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As looks do; where reuse is ignored, all have the same."""
    promotion = CONFIG.promotion.model_copy(update={"reuse": reuse})
    monkeypatch.setattr("support.simulated_refreshes.CONFIG", CONFIG.model_copy(update={"promotion": promotion}))
    state = Refreshed.start(0)
    kinds = [state.attempt(worse_than_reference(0.2)).kind for _ in alphas]
    assert kinds == ["hold"] * 3
    results = [row.verdict.refresh for row in state.entries if row.verdict is not None]
    assert [entry.alpha for entry in results if entry is not None] == pytest.approx(alphas)


def test_small_losses_do_not_add_up() -> None:
    """Compared with the champion alone, models that are each a little worse end far below the margin."""
    before, now = (
        simulate(worse_than_champion(0.01), 2, 20, knows_reference=knows_reference) for knows_reference in (False, True)
    )
    assert before.lost > 1.5 * MARGIN
    assert now.lost <= MARGIN


def test_a_model_that_is_as_good_is_refreshed_month_after_month() -> None:
    """A year of attempts; most become champion."""
    assert simulate(worse_than_champion(0.0), 3, 12).passed > 0.4
