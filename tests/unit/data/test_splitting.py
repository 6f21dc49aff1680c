from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.projects import config_of, message_of

from waterflow.data.canonical import canonical_order
from waterflow.data.row_identity import hash_fractions, identity_columns
from waterflow.data.splitting import count_shares, learning_rows, split_rows
from waterflow.datasets.loaders import iris
from waterflow.errors import DataError

KEYED = iris().assign(id=[f"flower-{number}" for number in range(150)])


def parts_of(frame: pd.DataFrame, config: Any) -> pd.Series:
    """Split rows and return their parts alone."""
    return split_rows(frame, config)["part"]


def hashed(**changes: Any) -> Any:
    """Configure a hash split by the column `id`."""
    return config_of(**{"split": {"kind": "hash"}, "key": ["id"], **changes})


def timed(**changes: Any) -> Any:
    """Configure a split by the column `day`."""
    return config_of(time_column="day", **changes)


# By hash


def test_a_row_once_held_out_stays_held_out_as_data_grow() -> None:
    """More rows move no row from one part to another."""
    few, many = parts_of(KEYED.iloc[:80], hashed()), parts_of(KEYED, hashed())
    assert few.astype("str").tolist() == many.iloc[:80].astype("str").tolist()


def test_the_order_of_rows_does_not_matter() -> None:
    """Membership belongs to the row, not to its place."""
    shuffled = KEYED.sample(frac=1, random_state=0)
    expected = parts_of(KEYED, hashed()).astype("str")
    assert parts_of(shuffled, hashed()).astype("str").sort_index().tolist() == expected.tolist()


def test_a_column_that_is_no_key_does_not_matter() -> None:
    """A corrected measurement leaves the row where it was."""
    corrected = KEYED.assign(petal_width_cm=KEYED["petal_width_cm"] + 1)
    assert (hash_fractions(KEYED, hashed()) == hash_fractions(corrected, hashed())).all()


@pytest.mark.parametrize("key", [["id"], ["id", "x"], []])
def test_whole_numbers_read_as_floats_stay_on_their_side(key: list[str]) -> None:
    """One null in a later file turns a column of integers into floats."""
    numbers = pd.DataFrame({"id": range(50), "x": [5, 7] * 25, "species": ["a", "b"] * 25})
    floats = numbers.assign(id=numbers["id"].astype(float), x=numbers["x"].astype(float))
    config = hashed(key=key)
    assert (hash_fractions(numbers, config) == hash_fractions(floats, config)).all()


def test_times_with_and_without_a_zone_stay_on_their_side() -> None:
    """A CSV's naive time and a Parquet's UTC time are the same moment."""
    naive = pd.DataFrame({"id": pd.date_range("2026-01-01", periods=20, unit="s")})
    zoned = naive.assign(id=naive["id"].dt.tz_localize("UTC").astype("datetime64[ns, UTC]"))
    assert (hash_fractions(naive, hashed()) == hash_fractions(zoned, hashed())).all()


def test_categories_stay_on_the_side_of_their_words() -> None:
    """A Parquet file may hold words as categories."""
    categories = KEYED.assign(id=KEYED["id"].astype("category"))
    assert (hash_fractions(KEYED, hashed()) == hash_fractions(categories, hashed())).all()


def test_null_keys_are_hashed_as_well() -> None:
    """A missing value among the hashed ones is a value like another."""
    frame = pd.DataFrame(
        {
            "word": ["a", None, "c"],
            "number": [1.0, np.nan, 3.0],
            "day": pd.to_datetime(["2026-01-01", None, "2026-01-03"]),
        }
    )
    places = hash_fractions(frame, hashed(key=["word", "number", "day"]))
    assert len(set(places)) == 3


def test_the_seed_draws_another_holdout() -> None:
    """Two seeds hold out different rows."""
    first = parts_of(KEYED, hashed(split={"kind": "hash", "seed": 0}))
    second = parts_of(KEYED, hashed(split={"kind": "hash", "seed": 1}))
    assert (first != second).any()


def test_the_order_of_key_columns_tells_rows_apart() -> None:
    """(1, 2) is another key than (2, 1)."""
    frame = pd.DataFrame({"a": [1, 2], "b": [2, 1]})
    places = hash_fractions(frame, hashed(key=["a", "b"]))
    assert places[0] != places[1]


def test_places_are_spread_evenly() -> None:
    """Ten thousand keys fill each tenth of [0, 1) with about a tenth of them."""
    places = hash_fractions(pd.DataFrame({"id": range(10_000)}), hashed())
    counts, _ = np.histogram(places, bins=10, range=(0, 1))
    assert counts.sum() == 10_000
    assert abs(counts - 1000).max() < 150


def test_a_group_falls_on_one_side() -> None:
    """Rows of one household never teach a model about their own holdout."""
    frame = iris().assign(garden=[f"garden-{number % 30}" for number in range(150)])
    split = parts_of(frame, config_of(group="garden", split={"kind": "hash"}))
    assert (split.astype("str").groupby(frame["garden"]).nunique() == 1).all()


def test_validation_rows_are_taken_from_outside_the_holdout() -> None:
    """Another strategy leaves the holdout as it is."""
    quick = {"name": "quick", "select_on": "test", "promotable": False}
    with_validation, without = parts_of(KEYED, hashed()), parts_of(KEYED, hashed(strategy=quick))
    assert ((with_validation == "test") == (without == "test")).all()
    assert (with_validation == "validation").any()
    assert not (without == "validation").any()


def membership(frame: pd.DataFrame, config: Any) -> dict[float, str]:
    """Split rows as a run does, in their canonical order, and return the part by the row's first feature."""
    ordered = canonical_order(frame, config.time_column, identity_columns(frame, config))
    return dict(zip(ordered["a"].astype(float), parts_of(ordered, config).astype("str"), strict=True))


LABELLED = pd.DataFrame({"a": np.arange(300) / 7, "b": np.arange(300) % 5, "species": np.arange(300) % 3 * 5})
ANYWAY: list[dict[str, Any]] = [{"split": {"kind": "hash"}}, {"split": {"kind": "stratified"}}]


@pytest.mark.parametrize("settings", ANYWAY)
def test_a_dropped_column_moves_no_row(settings: dict[str, Any]) -> None:
    """The day of an export is another one with every file."""
    config = config_of(drop=["exported"], **settings)
    first, second = (membership(LABELLED.assign(exported=day), config) for day in ("2026-01-01", "2026-01-02"))
    assert first == second


@pytest.mark.parametrize("settings", ANYWAY)
def test_the_order_of_columns_moves_no_row(settings: dict[str, Any]) -> None:
    """A query may list them in another order."""
    config = config_of(**settings)
    assert membership(LABELLED, config) == membership(LABELLED[["species", "b", "a"]], config)


@pytest.mark.parametrize("settings", ANYWAY)
@pytest.mark.parametrize("types", [{"species": "str"}, {"b": "str"}, {"b": "float64", "species": "category"}])
def test_the_types_of_columns_move_no_row(settings: dict[str, Any], types: dict[str, Any]) -> None:
    """A label or a feature is read as text when one cell has a letter."""
    config = config_of(**settings)
    assert membership(LABELLED, config) == membership(LABELLED.astype(types), config)


# By time


def test_the_holdout_is_the_latest_slice() -> None:
    """Every training row is older than every validation row, and those than every held-out row."""
    frame = iris().sample(frac=1, random_state=1).reset_index(drop=True)
    frame = frame.assign(day=pd.date_range("2026-01-01", periods=150, tz="UTC"))
    split = parts_of(frame, timed())
    days = {part: frame.loc[split == part, "day"] for part in ("train", "validation", "test")}
    assert days["train"].max() < days["validation"].min()
    assert days["validation"].max() < days["test"].min()
    assert [len(days[part]) for part in ("train", "validation", "test")] == [90, 30, 30]


def test_equal_times_fall_on_one_side() -> None:
    """Rows of one day are not known before one another."""
    days = pd.date_range("2026-01-01", periods=15, tz="UTC").repeat(10)
    frame = iris().sample(frac=1, random_state=1).assign(day=days)
    split = parts_of(frame, timed(split={"kind": "time", "test_fraction": 0.25})).astype("str")
    assert (split.groupby(frame["day"]).nunique() == 1).all()
    assert (split == "test").mean() <= 0.25


def test_dated_rows_are_split_by_time_by_default() -> None:
    """A time column is reason enough."""
    assert timed().split_kind == "time"
    assert timed(split={"kind": "hash"}).split_kind == "hash"


def test_rows_of_one_moment_cannot_be_split_by_time() -> None:
    """No slice is later than another."""
    frame = iris().assign(day=pd.Timestamp("2026-01-01", tz="UTC"))
    assert "no row of 150 falls into 'validation'" in message_of(lambda: parts_of(frame, timed()), DataError)


# Outcomes that are known later

HOURLY = pd.DataFrame(
    {
        "x": np.arange(720.0),
        "species": ["a", "b"] * 360,
        "day": pd.date_range("2026-01-01", periods=720, freq="h", tz="UTC"),
    }
)


def test_no_outcome_of_a_part_was_known_only_after_the_next_began() -> None:
    """Rows in between are in no part; the holdout is as large as without a delay."""
    split = parts_of(HOURLY, timed(label_delay="2 days"))
    days = {part: HOURLY.loc[split == part, "day"] for part in ("train", "validation", "test", "purged")}
    delay = timedelta(days=2)
    assert days["train"].max() + delay < days["validation"].min() <= days["train"].max() + delay + timedelta(hours=1)
    assert days["validation"].max() + delay < days["test"].min()
    assert [len(days[part]) for part in ("validation", "test", "purged")] == [144, 144, 2 * 48]


def test_without_validation_rows_the_delay_is_kept_before_the_holdout() -> None:
    """Training rows end a delay before the first held-out row."""
    split = parts_of(HOURLY, timed(label_delay="2 days", strategy=RIGOROUS))
    days = HOURLY["day"].groupby(split.astype("str")).agg(["min", "max"])
    assert days.loc["train", "max"] + timedelta(days=2) < days.loc["test", "min"]


def test_a_fold_learns_from_no_outcome_that_was_known_after_it_began() -> None:
    """A row before one fold may be learnt from by a later one."""
    split = split_rows(HOURLY, timed(label_delay="2 days", strategy=RIGOROUS))
    for number in FOLDS:
        begins = HOURLY.loc[split["fold"] == number, "day"].min()
        latest = HOURLY.loc[learning_rows(split, number), "day"].max()
        assert latest + timedelta(days=2) < begins <= latest + timedelta(days=2, hours=1)
    assert learning_rows(split, 1).sum() < learning_rows(split, 2).sum()


def test_purged_rows_have_no_fold() -> None:
    """They are neither learnt from nor scored."""
    split = split_rows(HOURLY, timed(label_delay="2 days", strategy=RIGOROUS))
    assert (split.loc[split["part"] == "purged", "fold"] == -1).all()


def test_a_delay_that_leaves_no_training_row_is_refused() -> None:
    """The message names the delay."""
    config = timed(label_delay="1 month")
    message = message_of(lambda: parts_of(HOURLY, config), DataError)
    assert "falls into 'train' under split.kind 'time' and label_delay '1 month'" in message


def test_a_split_that_is_not_by_time_purges_nothing() -> None:
    """No part comes before another."""
    split = parts_of(HOURLY, timed(label_delay="2 days", split={"kind": "hash"}))
    assert not (split == "purged").any()


# Stratified


def test_a_stratified_split_is_exact_in_each_class() -> None:
    """Fifty flowers of a species are 30, 10 and 10."""
    split = parts_of(iris(), config_of(split={"kind": "stratified"}))
    shares = {share.part: share for share in count_shares(split, iris()["species"])}
    species = ("setosa", "versicolor", "virginica")
    assert shares["train"].by_class == dict.fromkeys(species, 30)
    assert shares["validation"].by_class == dict.fromkeys(species, 10)
    assert shares["test"].by_class == dict.fromkeys(species, 10)


def test_a_stratified_split_follows_its_seed() -> None:
    """One seed gives the same rows each time, another gives others."""
    first, again, other = (
        parts_of(iris(), config_of(split={"kind": "stratified", "seed": seed})) for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert (first != other).any()


def test_new_classes_move_no_row_of_the_others() -> None:
    """Each class is drawn for itself."""
    config = config_of(split={"kind": "stratified"})
    new = LABELLED.assign(a=-1 - LABELLED["a"], species=90 + np.arange(300) % 10)
    grown = membership(pd.concat([new, LABELLED]), config)
    assert {row: grown[row] for row in LABELLED["a"]} == membership(LABELLED, config)


# What cannot be split


def test_fractions_that_leave_nothing_to_train_on_are_refused() -> None:
    """Holdout and validation rows together must be less than all."""
    config = config_of(split={"kind": "hash", "test_fraction": 0.8})
    message = message_of(lambda: parts_of(iris(), config), DataError)
    assert "test_fraction 0.8 and validation_fraction 0.2 leave no row to train on" in message


def test_too_few_rows_for_a_part_are_refused() -> None:
    """A holdout without rows evaluates nothing."""
    config = hashed(split={"kind": "hash", "test_fraction": 0.0001})
    assert "no row of 150 falls into 'test'" in message_of(lambda: parts_of(KEYED, config), DataError)


def test_training_rows_of_one_class_are_refused() -> None:
    """When all of a class lies in the latest slice, there is nothing to tell apart."""
    day = pd.Timestamp("2026-01-01", tz="UTC")
    frame = iris().assign(species=["a"] * 130 + ["b"] * 20, day=[day + timedelta(days=n) for n in range(150)])
    message = message_of(lambda: parts_of(frame, timed()), DataError)
    assert "the training rows hold one class of 'species' only" in message


def test_shares_of_a_regression_have_no_classes() -> None:
    """Numbers are counted by row alone."""
    split = parts_of(KEYED, hashed())
    shares = count_shares(split, None)
    assert sum(share.rows for share in shares) == 150
    assert all(share.by_class == {} for share in shares)


# Folds


RIGOROUS = {"name": "rigorous", "select_on": "folds", "folds": 5, "tune": True, "promotable": True}
FOLDS = [1, 2, 3, 4, 5]


def test_all_rows_outside_the_holdout_have_a_fold() -> None:
    """There is no validation part, and the holdout is the one of the other strategies."""
    split = split_rows(KEYED, hashed(strategy=RIGOROUS))
    is_test = split["part"] == "test"
    assert set(split["part"]) == {"train", "test"}
    assert sorted(split.loc[~is_test, "fold"].unique()) == FOLDS
    assert (split.loc[is_test, "fold"] == -1).all()
    assert (is_test == (parts_of(KEYED, hashed()) == "test")).all()


def test_other_strategies_have_no_folds() -> None:
    """A column that nobody reads is not stored."""
    assert list(split_rows(KEYED, hashed())) == ["part"]


def test_a_row_stays_in_its_fold_as_data_grow() -> None:
    """The fold is a function of the key, as the holdout is."""
    config = hashed(strategy=RIGOROUS)
    few, many = split_rows(KEYED.iloc[:80], config), split_rows(KEYED, config)
    assert few["fold"].tolist() == many["fold"].iloc[:80].tolist()


def test_the_folds_are_drawn_apart_from_the_holdout() -> None:
    """A fold of what a larger holdout would take next would not be like the others."""
    frame = pd.DataFrame({"id": range(5000), "species": ["a", "b"] * 2500})
    split = split_rows(frame, hashed(strategy=RIGOROUS))
    places = hash_fractions(frame, hashed())
    means = pd.Series(places).groupby(split["fold"]).mean().drop(-1)
    assert (means - 0.6).abs().max() < 0.03


def test_a_group_falls_into_one_fold() -> None:
    """Rows of one household never score a model that learnt from them."""
    frame = iris().assign(garden=[f"garden-{number % 30}" for number in range(150)])
    split = split_rows(frame, config_of(group="garden", split={"kind": "hash"}, strategy=RIGOROUS))
    assert (split["fold"].groupby(frame["garden"]).nunique() == 1).all()


def test_stratified_folds_are_even_in_each_class() -> None:
    """Forty flowers of a species are eight in each fold."""
    split = split_rows(iris(), config_of(split={"kind": "stratified"}, strategy=RIGOROUS))
    counts = split.groupby([iris()["species"], "fold"]).size().unstack()
    assert (counts[FOLDS] == 8).all().all()


def test_folds_of_numbers_are_even() -> None:
    """Without classes all rows are one stratum."""
    config = config_of(
        split={"kind": "stratified"},
        strategy=RIGOROUS,
        task="regression",
        target="petal_width_cm",
        metrics={"main": "mae"},
        candidates={"ridge": {"estimator": "sklearn.linear_model.Ridge"}},
    )
    assert split_rows(iris(), config)["fold"].value_counts()[FOLDS].tolist() == [24] * 5


def test_folds_expand_in_time() -> None:
    """Each fold is later than the one before, the holdout is later than all, and the first slice is never evaluated."""
    frame = iris().sample(frac=1, random_state=1).reset_index(drop=True)
    frame = frame.assign(day=pd.date_range("2026-01-01", periods=150, tz="UTC"))
    split = split_rows(frame, timed(strategy=RIGOROUS))
    spans = frame["day"].groupby(split["fold"]).agg(["min", "max", "size"]).loc[[0, *FOLDS, -1]]
    assert (spans["min"].iloc[1:].to_numpy() > spans["max"].iloc[:-1].to_numpy()).all()
    assert spans["size"].tolist() == [20] * 6 + [30]


def test_rows_of_one_moment_share_a_fold() -> None:
    """Equal times never fall on two sides."""
    frame = iris().sample(frac=1, random_state=1).reset_index(drop=True)
    days = pd.date_range("2026-01-01", periods=15, tz="UTC").repeat(10)
    split = split_rows(frame.assign(day=days), timed(strategy=RIGOROUS))
    assert (split["fold"].groupby(days).nunique() == 1).all()


def test_too_few_rows_for_a_fold_are_refused() -> None:
    """A fold without rows evaluates nothing."""
    frame = iris().sample(frac=1, random_state=1).reset_index(drop=True)
    days = pd.date_range("2026-01-01", periods=5, tz="UTC").repeat(30)
    message = message_of(lambda: split_rows(frame.assign(day=days), timed(strategy=RIGOROUS)), DataError)
    assert "no row falls into fold" in message
    assert "a smaller strategy.folds" in message


def test_a_fold_that_learns_from_one_class_is_refused() -> None:
    """The earliest slice holds one class only, and fold 1 learns from nothing else."""
    days = pd.date_range("2026-01-01", periods=150, tz="UTC")
    message = message_of(lambda: split_rows(iris().assign(day=days), timed(strategy=RIGOROUS)), DataError)
    assert "for fold 1 of 5 have fewer than two classes of 'species'" in message
