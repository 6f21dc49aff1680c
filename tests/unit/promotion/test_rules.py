"""The rules of promotion, in the order in which they object."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from support.promotion import FAILED, PASSED, VERDICT

from waterflow.promotion.rules import Outcome, PromotionState, decide, is_waiting
from waterflow.records.evaluation import GateResult, RefreshResult, SliceResult
from waterflow.records.promotion import Approval, Decision

YES, NO = Approval(approved=True, actor="ada"), Approval(approved=False, actor="ada")
UNSURE = VERDICT.model_copy(update={"outcome": "insufficient evidence", "reason": "12 rows are fewer than 30"})
AGAINST_4 = VERDICT.model_copy(update={"champion_version": 4})
OF_ANOTHER = AGAINST_4.model_copy(update={"champion_model_id": "m-1"})
SLICE = {"column": "region", "value": "north", "rows": 40, "worse": True, "note": ""}
MISSED = GateResult(metric="f1", value=0.1, threshold=0.5, rule="at_least", passed=False, reason="misses the gate")
JANUARY, MARCH = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
UNDONE = Decision(
    model="flowers",
    sequence=3,
    kind="rollback",
    from_version=2,
    to_version=1,
    version=1,
    reason="it drifts",
    actor="ada",
    decided_at=MARCH,
)
GOOD = PromotionState("flowers", VERDICT, strategy="quick", action_key="abc", checks=(PASSED,))


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({}, "promote", "better by 0.1"),
        ({"altered": "version 1 is another model now"}, "reject", "version 1 is another model now"),
        ({"is_promotable": False}, "hold", "exploratory: strategy 'quick'"),
        ({"gate": MISSED}, "reject", "misses the gate"),
        ({"gate": MISSED.model_copy(update={"passed": True})}, "promote", "better by 0.1"),
        ({"rows_end": JANUARY, "champion_rows_end": MARCH}, "hold", "its rows were read 2026-01-01"),
        ({"rows_end": JANUARY, "champion_rows_end": MARCH, "is_dated": True}, "hold", "its window ends 2026-01-01"),
        ({"rows_end": MARCH, "champion_rows_end": MARCH}, "promote", "better by 0.1"),
        ({"rows_end": None, "champion_rows_end": MARCH}, "promote", "better by 0.1"),
        ({"rolled_back": {"abc": UNDONE}}, "hold", "of version 2, which ada rolled back on 2026-03-01 (it drifts)"),
        ({"rolled_back": {"other": UNDONE}}, "promote", "better by 0.1"),
        ({"verdict": None}, "compare", "no verdict yet against no version"),
        ({"champion_version": 4}, "compare", "no verdict yet against version 4"),
        ({"verdict": OF_ANOTHER, "champion_version": 4, "champion_model_id": "m-2"}, "compare", "against version 4"),
        ({"verdict": OF_ANOTHER, "champion_version": 4, "champion_model_id": "m-1"}, "promote", "better by 0.1"),
        ({"verdict": UNSURE}, "hold", "insufficient evidence: 12 rows"),
        ({"lacks_new_rows": True}, "hold", "run the pipeline again to fit and register that model"),
        ({"checks": None}, "stage", "no staging checks yet"),
        ({"checks": (PASSED, FAILED)}, "reject", "staging check latency"),
        ({"needs_approval": True, "approval": YES}, "promote", "approved by ada"),
        ({"needs_approval": True, "approval": NO}, "reject", "not approved by ada"),
        ({"needs_approval": True}, "ask", "nobody was asked"),
        (
            {"needs_approval": True, "approval": YES, "verdict": AGAINST_4, "champion_version": 4, "shown_champion": 3},
            "hold",
            "in the place of version 3, but champion is now version 4",
        ),
    ],
)
def test_each_rule_objects_with_its_reason(changes: dict[str, Any], kind: str, reason: str) -> None:
    """A state that differs from a good one in one respect."""
    outcome = decide(replace(GOOD, **changes))
    assert outcome.kind == kind
    assert reason in outcome.reason


def test_the_rules_object_in_order() -> None:
    """Each rule speaks when those before it are content, and approval makes up for none."""
    bad: dict[str, Any] = {
        "is_promotable": False,
        "gate": MISSED,
        "rows_end": JANUARY,
        "champion_rows_end": MARCH,
        "rolled_back": {"abc": UNDONE},
        "verdict": UNSURE,
        "checks": (FAILED,),
        "needs_approval": True,
        "approval": NO,
    }
    kinds, state = [], replace(GOOD, **bad)
    for name in bad:
        kinds.append(decide(state).kind)
        state = replace(state, **{name: getattr(GOOD, name)})
    assert kinds == ["hold", "reject", "hold", "hold", "hold", "hold", "reject", "reject", "promote"]


def test_a_rollback_asks_for_staging_alone() -> None:
    """Its target had its evidence before."""
    state = PromotionState("flowers", is_rollback=True)
    assert decide(state).kind == "stage"
    assert decide(replace(state, checks=(FAILED,))).kind == "reject"
    assert decide(replace(state, checks=(PASSED,), altered="another model")).kind == "reject"
    assert decide(replace(state, checks=(PASSED,))) == Outcome("rollback", "")


AS_GOOD = RefreshResult(version=2, attempt=1, alpha=0.05, rows=30, difference=0.0, low=-0.01)
REFRESH = replace(GOOD, refresh_margin=0.03, champion_version=4, shown_champion=4)


@pytest.mark.parametrize(
    ("difference", "low", "refreshed", "kind", "reason"),
    [
        (0.01, -0.02, 0.0, "refresh", "a refresh of version 4, not worse on f1_macro by 0.03: it differs by +0.01"),
        (-0.01, -0.029, -0.019, "refresh", "refreshes sum to -0.029"),
        (-0.01, -0.029, -0.021, "hold", "sum to -0.031, below the margin"),
        (0.01, -0.02, -0.05, "hold", "sum to -0.04, below the margin"),
        (0.01, -0.03, 0.0, "hold", "insufficient evidence"),
        (None, None, 0.0, "hold", "insufficient evidence"),
    ],
)
def test_a_refresh_need_only_be_not_worse(  # type: ignore[no-untyped-def]
    difference, low, refreshed, kind, reason
) -> None:
    """Its lower bound, and the sum of all refreshes since a version won, lie within the margin."""
    changes = {"champion_version": 4, "difference": difference, "low": low, "refresh": AS_GOOD}
    outcome = decide(replace(REFRESH, verdict=UNSURE.model_copy(update=changes), refreshed=refreshed))
    assert outcome.kind == kind
    assert reason in outcome.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"low": -0.03}, "worse by 0.03 than version 2, which last won by being better, by +0 (at least -0.03"),
        ({"low": None, "problem": "version 2 is no longer in the registry"}, "better: version 2 is no longer in"),
    ],
)
def test_a_refresh_has_to_be_as_good_as_the_version_that_last_won(changes: dict[str, Any], reason: str) -> None:
    """However good it is beside the champion; where that version cannot be compared, it is held."""
    refresh = AS_GOOD.model_copy(update=changes)
    verdict = UNSURE.model_copy(update={"champion_version": 4, "difference": 0.01, "low": -0.01, "refresh": refresh})
    outcome = decide(replace(REFRESH, verdict=verdict))
    assert outcome.kind == "hold"
    assert reason in outcome.reason
    uncompared = decide(replace(REFRESH, verdict=verdict.model_copy(update={"refresh": None})))
    assert uncompared.kind == "hold"
    assert "with which it was not compared" in uncompared.reason


@pytest.mark.parametrize(
    "changes",
    [
        {"disjoint": False},
        {"slices": (SliceResult.model_validate({**dict.fromkeys(SliceResult.model_fields), **SLICE}),)},
    ],
)
def test_a_refresh_is_held_where_the_comparison_is_in_doubt(changes: dict[str, Any]) -> None:
    """As a model that is better would be."""
    verdict = UNSURE.model_copy(update={"champion_version": 4, "difference": 0.01, "low": -0.01, "refresh": AS_GOOD})
    assert decide(replace(REFRESH, verdict=verdict)).kind == "refresh"
    assert decide(replace(REFRESH, verdict=verdict.model_copy(update=changes))).kind == "hold"


def test_a_refresh_that_is_better_is_promoted() -> None:
    """It starts the sum again; and without a champion there is nothing to refresh."""
    assert decide(replace(REFRESH, verdict=AGAINST_4)).kind == "promote"
    verdict = UNSURE.model_copy(update={"difference": 0.01, "low": -0.01, "refresh": AS_GOOD})
    assert decide(replace(REFRESH, verdict=verdict, champion_version=None)).kind == "hold"


@pytest.mark.parametrize(
    ("kind", "verdict", "now", "can_be_staged_again", "waits"),
    [
        ("hold", VERDICT, "stage", False, True),
        ("hold", VERDICT, "hold", False, False),
        ("hold", UNSURE, "stage", False, True),
        ("reject", VERDICT, "stage", True, True),
        ("reject", VERDICT, "stage", False, False),
        ("reject", None, "stage", True, False),
        ("rollback", VERDICT, "stage", True, False),
    ],
)
def test_what_waits_is_decided_again(  # type: ignore[no-untyped-def]
    kind, verdict, now, can_be_staged_again, waits
) -> None:
    """A hold whose obstacle is gone, and a failed staging check under other conditions; nothing else."""
    row = UNDONE.model_copy(update={"kind": kind, "verdict": verdict})
    assert is_waiting(row, Outcome(now, ""), can_be_staged_again=can_be_staged_again) is waits
