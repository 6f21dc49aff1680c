from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.projects import config_of, message_of

from waterflow.data.columns import feature_columns
from waterflow.data.validation import check_rows
from waterflow.datasets.loaders import iris
from waterflow.errors import DataError


def refusal(frame: pd.DataFrame, **changes: Any) -> str:
    """Return the line with which rows are refused."""
    return message_of(lambda: check_rows(frame, config_of(**changes)), DataError)


def test_good_rows_pass() -> None:
    """Iris as it is has nothing to complain about."""
    check_rows(iris(), config_of())


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"target": "specie"}, "target: 'specie'"),
        ({"features": ["petal_width_cm", "colour"]}, "features: 'colour'"),
        ({"drop": ["colour"]}, "drop: 'colour'"),
        ({"known_after": ["colour"]}, "known_after: 'colour'"),
        ({"key": ["id"]}, "key: 'id'"),
        ({"group": "garden"}, "group: 'garden'"),
        ({"time_column": "day"}, "time_column: 'day'"),
    ],
)
def test_a_declared_column_that_the_data_lack_is_named(changes: dict[str, Any], place: str) -> None:
    """The message lists the columns that there are."""
    message = refusal(iris(), **changes)
    assert message.startswith(place)
    assert "sepal_length_cm" in message


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda frame: frame.assign(species="setosa"), "is always 'setosa'; there is nothing to learn"),
        (lambda frame: frame.assign(species=frame["species"].where(frame.index > 2)), "is null in 3 of 150 rows"),
        (lambda frame: frame.iloc[:101], "class 'virginica' of 'species' has one row"),
        (lambda frame: frame.assign(petal_width_cm=np.nan), "column 'petal_width_cm' is null or empty in all 150 rows"),
        (lambda frame: frame.assign(species=[0] * 149 + [1]), "class 1 of 'species' has one row"),
    ],
)
def test_rows_that_cannot_be_trained_on_are_refused(spoil: Callable[[pd.DataFrame], pd.DataFrame], reason: str) -> None:
    """The message names the column, the value found and how often."""
    assert reason in refusal(spoil(iris()))


def test_a_column_of_nulls_passes_once_it_is_dropped() -> None:
    """The advice in the message works."""
    frame = iris().assign(notes=np.nan)
    assert "add `drop: [notes]`" in refusal(frame)
    check_rows(frame, config_of(drop=["notes"]))


def test_a_target_of_many_numbers_is_refused_as_classes() -> None:
    """Values that nearly all differ are most likely a forgotten `task: regression`."""
    check_rows(iris().assign(species=np.repeat(np.arange(50), 3)), config_of())
    message = refusal(iris().assign(species=np.arange(150)))
    assert "has 150 different values in 150 rows; is task: regression meant?" in message


def test_a_target_of_words_is_refused_for_regression() -> None:
    """Regression needs numbers."""
    changes = {"task": "regression", "metrics": {"main": "rmse"}}
    assert "regression needs numbers" in refusal(iris(), **changes)


def test_a_target_of_decimals_is_numeric() -> None:
    """As databases and Parquet have them."""
    prices = iris().assign(price=[Decimal(number) for number in range(150)])
    check_rows(prices, config_of(task="regression", metrics={"main": "rmse"}, target="price"))


def test_a_constant_number_is_refused_for_regression() -> None:
    """There is nothing to learn from one value."""
    changes = {"task": "regression", "metrics": {"main": "rmse"}, "target": "petal_width_cm"}
    assert "is always 1.5" in refusal(iris().assign(petal_width_cm=1.5), **changes)


def test_the_target_is_never_a_feature() -> None:
    """Listing it by hand is refused, not obeyed."""
    assert "is the target; a model must not see it" in refusal(iris(), features=["species", "petal_width_cm"])


def test_no_feature_left_is_refused() -> None:
    """A model of no column is no model."""
    names = [name for name in iris().columns if name != "species"]
    assert "no column is left" in refusal(iris(), drop=names)


def test_columns_with_another_role_are_no_features() -> None:
    """Key, group, time and target tell rows apart; they do not predict."""
    frame = iris().assign(id=range(150), garden="a", day="2026-01-01")
    config = config_of(key=["id"], group="garden", time_column="day", split={"kind": "hash"})
    assert feature_columns(frame, config) == [name for name in iris().columns if name != "species"]


def test_declared_features_are_taken_in_their_order() -> None:
    """A list of features is obeyed, less what is dropped."""
    config = config_of(features=["petal_width_cm", "sepal_width_cm", "petal_length_cm"], drop=["sepal_width_cm"])
    assert feature_columns(iris(), config) == ["petal_width_cm", "petal_length_cm"]


def test_what_is_known_only_afterwards_is_no_feature() -> None:
    """Neither among all columns nor where it is declared as a feature."""
    names = ["sepal_length_cm", "sepal_width_cm", "petal_length_cm"]
    assert feature_columns(iris(), config_of(known_after=["petal_width_cm"])) == names
    declared = config_of(features=["petal_width_cm", "sepal_width_cm"], known_after=["petal_width_cm"])
    assert feature_columns(iris(), declared) == ["sepal_width_cm"]


@pytest.mark.parametrize("values", [None, "", "  \t", ["", None, " "] * 50])
def test_text_that_is_empty_throughout_is_refused(values: Any) -> None:
    """There is no word in it to learn from."""
    assert "column 'text' is null or empty in all 150 rows" in refusal(iris().assign(text=values))


def test_some_empty_texts_pass() -> None:
    """A review without a word is still a review."""
    check_rows(iris().assign(text=["", None, "fine"] * 50), config_of())


def test_rows_without_their_group_are_refused() -> None:
    """All of them are one group by their null, or none: either way the split would be wrong."""
    frame = iris().assign(garden=["a", None, "b"] * 50)
    message = refusal(frame, group="garden", split={"kind": "hash"})
    assert message.startswith("group: 'garden' is null in 50 of 150 rows")


def test_infinity_is_named_by_column() -> None:
    """Estimators refuse it, most of them without saying where."""
    frame = iris()
    frame.loc[[3, 7], "sepal_width_cm"] = [np.inf, -np.inf]
    message = message_of(lambda: check_rows(frame, config_of()), DataError)
    assert "column 'sepal_width_cm' is infinite in 2 of 150 rows" in message
    assert "`na_values: [inf, -inf]`" in message
    check_rows(frame, config_of(drop=["sepal_width_cm"]))


def test_times_that_cannot_be_served_are_named() -> None:
    """MLflow counts nanoseconds, which end in 2262."""
    frame = iris().assign(until=pd.to_datetime(["9999-12-31"] * 149 + ["2024-01-01"]))
    message = message_of(lambda: check_rows(frame, config_of()), DataError)
    assert "column 'until' holds 9999-12-31" in message
    assert "`na_values: ['9999-12-31']`" in message
    check_rows(frame, config_of(drop=["until"]))


def test_a_column_that_was_left_out_may_be_dropped() -> None:
    """It is in the source, but rows cannot have it."""
    check_rows(iris(), config_of(drop=["tags"]), left_out=["tags"])
    assert "drop: 'tags' is no column" in message_of(lambda: check_rows(iris(), config_of(drop=["tags"])), DataError)
