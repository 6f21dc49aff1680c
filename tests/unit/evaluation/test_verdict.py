from dataclasses import replace

import pytest

from waterflow.config.schema import EvidenceConfig
from waterflow.evaluation.comparison import Comparison, Interval
from waterflow.evaluation.verdict import decide
from waterflow.records.evaluation import SliceResult

EVIDENCE = EvidenceConfig(min_gain=0.02)


def compared(value: float, low: float, high: float, p_value: float = 0.01) -> Comparison:
    """Write a comparison with this difference and interval."""
    return Comparison(
        "accuracy", 200, Interval(0.9, 0.8, 1), Interval(0.9, 0.8, 1), Interval(value, low, high), p_value, 0.05, 200.0
    )


def part(*, worse: bool) -> SliceResult:
    """Write a slice's result."""
    return SliceResult(
        column="region",
        value="north",
        rows=50,
        challenger=0.8,
        champion=0.9,
        difference=-0.1,
        low=-0.2,
        high=-0.05,
        worse=worse,
    )


@pytest.mark.parametrize(
    ("value", "low", "high", "outcome"),
    [
        (0.05, 0.01, 0.09, "promote"),
        (0.02, 0.001, 0.04, "promote"),
        (0.015, 0.001, 0.03, "insufficient evidence"),
        (0.05, 0.0, 0.1, "insufficient evidence"),
        (0.05, -0.01, 0.11, "insufficient evidence"),
        (-0.01, -0.05, 0.03, "insufficient evidence"),
        (0.01, 0.005, 0.02, "hold"),
        (0.0, -0.01, 0.01, "hold"),
        (-0.05, -0.09, -0.01, "hold"),
    ],
)
def test_the_interval_decides(value: float, low: float, high: float, outcome: str) -> None:
    """Above 0 and worth having: promote; no worthwhile gain possible: hold; else not enough evidence."""
    assert decide(compared(value, low, high), EVIDENCE, [], identical=False)[0] == outcome


def test_a_slice_that_is_worse_holds_a_better_model_back() -> None:
    """And the reason names it."""
    outcome, reason = decide(compared(0.05, 0.01, 0.09), EVIDENCE, [part(worse=True)], identical=False)
    assert outcome == "hold"
    assert "worse on region = north" in reason


def test_a_slice_that_may_be_worse_does_not() -> None:
    """Only what is shown counts."""
    assert decide(compared(0.05, 0.01, 0.09), EVIDENCE, [part(worse=False)], identical=False)[0] == "promote"


def test_a_metric_that_differs_on_no_row_holds() -> None:
    """The labels are the same, whatever the probabilities, and no interval of width 0 is shown."""
    assert decide(compared(0, 0, 0, p_value=1), EvidenceConfig(), [], identical=False) == (
        "hold",
        "accuracy does not differ on any row",
    )


def test_identical_predictions_hold() -> None:
    """Nothing is gained by changing a model for its twin, even if nothing is asked for."""
    assert decide(compared(0, 0, 0), EvidenceConfig(), [], identical=True) == (
        "hold",
        "both models predict the same on every row",
    )


def test_an_interval_without_its_p_value_promotes_nothing() -> None:
    """Both must show the gain."""
    outcome, _ = decide(compared(0.05, 0.01, 0.09, p_value=0.06), EVIDENCE, [], identical=False)
    assert outcome == "insufficient evidence"


def test_the_reason_says_what_dependent_rows_are_worth() -> None:
    """Rounded to two digits, where rows were drawn together."""
    days = ("30 blocks of 1 day",)
    comparison = replace(compared(0.05, 0.01, 0.09), rows=20_739, effective_rows=686.2, clusters=days)
    assert decide(comparison, EVIDENCE, [], identical=False)[1].endswith("; 20,739 rows, worth about 690")
