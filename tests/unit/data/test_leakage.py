import numpy as np
import pandas as pd
import pytest

from waterflow.data.leakage import Leak, find_leaks
from waterflow.datasets.loaders import iris

COUNT = 2_000
CHANCE = np.random.default_rng(0)
LATE = pd.Series(CHANCE.random(COUNT) < 0.2)
MINUTES = pd.Series(CHANCE.normal(size=COUNT).cumsum())
NOISE, OTHER_NOISE = CHANCE.normal(size=(2, COUNT))
CODES = CHANCE.integers(0, 12, COUNT)


def leaking(column: object, target: pd.Series = LATE, task: str = "classification") -> list[str]:
    """Name what leaks of one column beside an honest one."""
    honest = target.rank(pct=True) + OTHER_NOISE[: len(target)]
    frame = pd.DataFrame({"honest": honest, "column": column}, index=target.index)
    return [leak.column for leak in find_leaks(frame, target, task)]  # type: ignore[arg-type]


def test_iris_has_no_leak() -> None:
    """A good feature of one class among several is no leak."""
    rows = iris()
    assert find_leaks(rows.drop(columns="species"), rows["species"], "classification") == ()


@pytest.mark.parametrize("sign", [1, -1])
def test_a_number_that_separates_the_classes_leaks(sign: int) -> None:
    """In either direction, and though a few rows are off."""
    delay = sign * (LATE * 30.0 + NOISE * 5)
    assert leaking(delay) == ["column"]


def test_a_leak_has_its_score() -> None:
    """It is scikit-learn's area under the curve."""
    assert find_leaks(pd.DataFrame({"delay": LATE * 30}), LATE, "classification") == (Leak("delay", 1.0),)


def test_a_strong_feature_is_none() -> None:
    """An area of 0.97 is worth having, and no warning."""
    assert leaking(LATE * 2.7 + NOISE) == []


def test_a_number_that_is_known_for_some_rows_leaks_by_those() -> None:
    """The rows without it are no excuse."""
    assert leaking((LATE * 30.0).where(CODES < 6)) == ["column"]


def test_a_number_that_hardly_any_row_has_says_nothing() -> None:
    """A handful of rows fall apart by chance."""
    assert leaking((LATE * 30.0).where(np.arange(COUNT) < 20)) == []


@pytest.mark.parametrize("value", [1.0, "diverted", pd.Timestamp("2026-01-01", tz="UTC")])
def test_that_a_value_is_missing_can_leak(value: object) -> None:
    """A cause of delay is written down for flights that were late."""
    assert leaking(pd.Series(value, index=LATE.index).where(LATE)) == ["column"]


def test_words_that_name_the_class_leak() -> None:
    """Codes of late and punctual flights, a dozen of each."""
    assert leaking([f"{'late' if late else 'ok'}-{code}" for late, code in zip(LATE, CODES, strict=True)]) == ["column"]


def test_an_identifier_is_no_leak() -> None:
    """It separates the rows that it was learnt from, and says nothing of others."""
    assert leaking([f"row {number}" for number in range(COUNT)]) == []


def test_a_number_that_codes_several_classes_leaks() -> None:
    """The middle class is neither the lowest nor the highest, so values count as categories where there are few."""
    rows = iris()
    code = rows["species"].map({"setosa": 2, "versicolor": 1, "virginica": 3})
    assert leaking(code, rows["species"].map({"setosa": 0, "versicolor": 1, "virginica": 2})) == ["column"]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(LATE, dtype="boolean"),
        pd.Series(LATE, dtype=object).where(CODES < 11, None),
        LATE.map({True: "yes", False: "no"}).astype("category"),
        pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(LATE * 1, unit="h"),
    ],
)
def test_a_leak_is_found_in_whatever_storage(column: pd.Series) -> None:
    """Booleans beside nulls, categories and times are looked at as what they are."""
    assert leaking(column) == ["column"]


def test_a_number_in_step_with_a_target_of_numbers_leaks() -> None:
    """Ranks are compared, so a logarithm hides nothing."""
    assert leaking(-np.exp(MINUTES / 10), MINUTES, "regression") == ["column"]
    assert leaking(MINUTES + 50 * NOISE, MINUTES, "regression") == []


def test_words_in_step_with_a_target_of_numbers_leak() -> None:
    """A band of minutes is the target in other words."""
    bands = MINUTES.rank(pct=True).mul(40).astype(int).map("band {}".format)
    assert leaking(bands, MINUTES, "regression") == ["column"]


def test_a_column_without_variety_says_nothing() -> None:
    """Constant, or null throughout, for both tasks."""
    for target, task in ((LATE, "classification"), (MINUTES, "regression")):
        assert leaking(1.0, target, task) == []
        assert leaking(np.nan, target, task) == []
        assert leaking("same", target, task) == []


def test_many_rows_are_sampled_and_the_sample_is_the_same_each_time() -> None:
    """A second look gives the same answer, to the last digit."""
    chance = np.random.default_rng(1)
    target = pd.Series(chance.random(100_000) < 0.01)
    frame = pd.DataFrame({"delay": target * 30 + chance.normal(size=100_000) * 8, "same": 1})
    first = find_leaks(frame, target, "classification")
    assert [leak.column for leak in first] == ["delay"]
    assert first == find_leaks(frame, target, "classification")
