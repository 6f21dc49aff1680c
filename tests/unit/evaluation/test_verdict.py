import numpy as np
import pandas as pd
import pytest
from support.paired_predictions import random_numbers, random_scored

from waterflow.config.schema import EvidenceConfig, SliceConfig
from waterflow.evaluation.comparison import Comparison, Interval
from waterflow.evaluation.verdict import MISSING, OTHER, compare_slices, decide, slice_values
from waterflow.records import SliceResult

EVIDENCE = EvidenceConfig(min_gain=0.02)


def found(value: float, low: float, high: float) -> Comparison:
    """Write a comparison with this difference and interval."""
    return Comparison("accuracy", Interval(0.9, 0.8, 1), Interval(0.9, 0.8, 1), Interval(value, low, high), 0.1, 0.05)


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
    assert decide(found(value, low, high), EVIDENCE, [], identical=False)[0] == outcome


def test_a_slice_that_is_worse_holds_a_better_model_back() -> None:
    """And the reason names it."""
    outcome, reason = decide(found(0.05, 0.01, 0.09), EVIDENCE, [part(worse=True)], identical=False)
    assert outcome == "hold"
    assert "worse on region = north" in reason


def test_a_slice_that_may_be_worse_does_not() -> None:
    """Only what is shown counts."""
    assert decide(found(0.05, 0.01, 0.09), EVIDENCE, [part(worse=False)], identical=False)[0] == "promote"


def test_identical_predictions_hold() -> None:
    """Nothing is gained by changing a model for its twin, even if nothing is asked for."""
    assert decide(found(0, 0, 0), EvidenceConfig(), [], identical=True) == (
        "hold",
        "both models predict the same on every row",
    )


def test_a_slice_says_why_it_was_not_compared() -> None:
    """Too few rows, or a metric that is undefined on them."""
    pair = random_scored(100, 2)
    column = pd.Series(np.where(pair.truth == 1, "only positives", "rest"))
    column[:5] = "small"
    results = compare_slices(
        pair, column, SliceConfig(column="kind", min_rows=10), "roc_auc", EvidenceConfig(resamples=200), 0
    )
    notes = {entry.value: entry.note for entry in results}
    assert notes["small"] == "fewer than 10 rows"
    assert "roc_auc is undefined" in notes["only positives"]
    assert not any(entry.worse for entry in results)


@pytest.mark.parametrize(("tolerance", "worse"), [(0.0, True), (5.0, False)])
def test_a_slice_is_worse_beyond_its_tolerance(tolerance: float, worse: bool) -> None:
    """The whole interval must lie below it."""
    pair = random_numbers(200)
    pair.challenger.prediction[:100] += 4
    column = pd.Series(np.where(np.arange(200) < 100, "spoilt", "as ever"))
    asked = SliceConfig(column="kind", tolerance=tolerance)
    results = compare_slices(pair, column, asked, "mae", EvidenceConfig(resamples=200), 0)
    assert {entry.value: entry.worse for entry in results} == {"spoilt": worse, "as ever": False}


def test_many_numbers_are_cut_into_quarters() -> None:
    """A column of measurements gives four slices of equal size, and one for rows that lack it."""
    column = pd.Series([*np.arange(100.0), np.nan])
    assert sorted(slice_values(column).value_counts()) == [1, 25, 25, 25, 25]
    assert slice_values(column).iloc[-1] == MISSING


def test_many_texts_are_cut_to_the_most_frequent() -> None:
    """The others are one slice together."""
    column = pd.Series(["a"] * 5 + [f"rare {number}" for number in range(40)])
    names = slice_values(column)
    assert names.nunique() == 21
    assert (names == OTHER).sum() == 21


def test_few_numbers_are_slices_of_their_own() -> None:
    """A month stays a month."""
    assert set(slice_values(pd.Series([1, 2, 2, 12]))) == {"1", "2", "12"}
