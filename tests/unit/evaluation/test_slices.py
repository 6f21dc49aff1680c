import numpy as np
import pandas as pd
import pytest
from support.paired_predictions import random_numbers, random_scored

from waterflow.config.schema import EvidenceConfig, SliceConfig
from waterflow.evaluation.slices import MISSING, OTHER, compare_slices, slice_values


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


def test_quarters_of_a_narrow_range_have_names_of_their_own() -> None:
    """Four digits of their ends are the same; one name would make one slice of all."""
    column = pd.Series(range(1_000_000, 1_000_100))
    assert slice_values(column).value_counts().tolist() == [25, 25, 25, 25]


def test_many_texts_are_cut_to_the_most_frequent() -> None:
    """The others are one slice together."""
    column = pd.Series(["a"] * 5 + [f"rare {number}" for number in range(40)])
    names = slice_values(column)
    assert names.nunique() == 21
    assert (names == OTHER).sum() == 21


def test_few_numbers_are_slices_of_their_own() -> None:
    """A month stays a month."""
    assert set(slice_values(pd.Series([1, 2, 2, 12]))) == {"1", "2", "12"}
