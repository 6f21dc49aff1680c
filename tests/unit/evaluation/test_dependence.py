import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from support.projects import config_of
from support.series import autoregressive

from waterflow.evaluation.dependence import (
    ORDER,
    Dependence,
    calendar_periods,
    cluster_variance,
    declare_dependence,
    estimate_error,
    find_dependence,
    row_variance,
    variance_ratio_p_value,
)


def test_one_way_variance_is_that_of_statsmodels() -> None:
    """The cluster-robust variance of a mean."""
    generator = np.random.default_rng(0)
    clusters = generator.integers(0, 30, 500)
    influence = generator.normal(size=500) + generator.normal(size=30)[clusters]
    influence -= influence.mean()
    fitted = sm.OLS(influence, np.ones(500)).fit(cov_type="cluster", cov_kwds={"groups": clusters})
    assert np.sqrt(cluster_variance(influence, clusters)) == pytest.approx(fitted.bse[0], rel=1e-6)


def test_independent_rows_have_the_usual_standard_error() -> None:
    """Of a mean, or within strata."""
    influence = np.random.default_rng(1).normal(size=100)
    influence -= influence.mean()
    assert row_variance(influence, None) == pytest.approx(influence.var(ddof=1) / 100)
    strata = np.arange(100) % 2
    within = sum(influence[strata == code].var(ddof=1) * 50 for code in (0, 1)) / 100**2
    assert row_variance(influence, strata) == pytest.approx(within)


def test_crossed_effects_add_up() -> None:
    """Two-way variance is time and group less their crossing, and its freedom that of the fewer."""
    generator = np.random.default_rng(2)
    days, groups = np.repeat(np.arange(40), 50), generator.integers(0, 12, 2000)
    influence = generator.normal(size=2000) + generator.normal(size=40)[days] + generator.normal(size=12)[groups]
    influence -= influence.mean()
    both = estimate_error(influence, Dependence(groupings={"day": days, "site": groups}), None)
    crossing = pd.factorize(days * 12 + groups)[0]
    expected = cluster_variance(influence, days) + cluster_variance(influence, groups)
    expected -= cluster_variance(influence, crossing)
    assert both.standard_error**2 == pytest.approx(expected)
    assert 10 < both.freedom < 11
    assert both.effective_rows == pytest.approx(2000 * row_variance(influence, None) / expected)


@pytest.mark.parametrize(
    "dependence",
    [Dependence(groupings={"site": np.arange(300) % 30}), Dependence(periods=np.arange(300) // 10)],
    ids=["groups", "days"],
)
def test_dependence_never_narrows(dependence: Dependence) -> None:
    """Not where clusters happen to cancel out: rows are worth no more than their number."""
    influence = np.tile([1.0, -1.0], 150)
    influence[::10] += 0.1
    error = estimate_error(influence - influence.mean(), dependence, None)
    assert error.standard_error**2 >= row_variance(influence, None)
    assert error.effective_rows <= 300


def test_autocorrelated_days_come_in_blocks() -> None:
    """The blocks are longer than a day, and the freedom smaller than the number of days."""
    days = np.repeat(np.arange(100), 5)
    influence = autoregressive(0.8, 100, 3)[days]
    error = estimate_error(influence - influence.mean(), Dependence(periods=days), None)
    assert error.clusterings[0].units.endswith("days")
    assert error.clusterings[0].clusters.max() + 1 < 34
    assert error.freedom < 10


def test_days_are_those_of_the_pipelines_zone() -> None:
    """An evening in New York is the next day in UTC."""
    times = pd.Series(pd.to_datetime(["2024-01-01T12:00Z", "2024-01-02T02:00Z", "2024-01-02T12:00Z"]))
    assert calendar_periods(times, "day", "UTC").tolist() == [0, 1, 1]
    assert calendar_periods(times, "day", "America/New_York").tolist() == [0, 0, 1]
    assert calendar_periods(times, "week", "UTC").tolist() == [0, 0, 0]


def test_a_pipeline_declares_time_group_and_more() -> None:
    """The time column by days, the group and the columns of `by`; a key is tested only where nothing is declared."""
    rows = pd.DataFrame({"when": pd.to_datetime(["2024-01-01", "2024-02-01"], utc=True), "species": ["a", "b"]})
    rows = rows.assign(patient=[1, 2], carrier=["AA", "UA"], row=[1, 2])
    by_carrier = {"dependence": {"by": ["carrier"]}}
    config = config_of(
        group="patient",
        key=["row"],
        time_column="when",
        split={"kind": "hash"},
        promotion=by_carrier,
    )
    declared = declare_dependence(rows, config)
    assert (declared.declared, declared.unit, list(declared.groupings)) == (True, "day", ["patient", "carrier"])
    assert declared.periods is not None
    assert not declare_dependence(rows, config_of(key=["row"])).declared
    assert declare_dependence(rows, config_of(key=["row"], promotion={"dependence": {}})).declared


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_share_a_customer_are_found(seed: int) -> None:
    """By the key column whose values repeat; a column that names rows alone is no suspect."""
    generator = np.random.default_rng(seed)
    customers = generator.integers(0, 40, 800)
    influence = generator.normal(size=800) + 0.6 * generator.normal(size=40)[customers]
    keys = {"customer_id": customers, "row": np.arange(800)}
    found = find_dependence(influence - influence.mean(), Dependence(keys=keys, declared=False))
    assert list(found.groupings) == ["customer_id"]


@pytest.mark.parametrize("kind", ["int64", "float64", "datetime64[s]", "str", "object"])
def test_rows_with_neighbouring_keys_are_found(kind: str) -> None:
    """In whatever order they lie: prepared rows lie in the order of their hashes."""
    influence, shuffled = autoregressive(0.8, 800, 4), np.random.default_rng(1).permutation(800)
    keys = pd.Series(np.arange(1000, 1800)).astype(kind if kind != "datetime64[s]" else "int64").astype(kind)
    moved = (influence - influence.mean())[shuffled]
    found = find_dependence(moved, Dependence(keys={"row": keys.to_numpy()[shuffled]}, declared=False))
    assert (found.unit, list(found.groupings)) == (ORDER, [])
    assert found.periods is not None
    assert (np.diff(found.periods[np.argsort(shuffled)]) >= 0).all()
    assert find_dependence(moved, Dependence(declared=False)).periods is None


def test_each_column_of_a_key_has_an_order() -> None:
    """Days differ, though the key begins with a column that says nothing."""
    generator = np.random.default_rng(7)
    carriers, times = generator.integers(0, 9, 800), np.arange("2020-01-01", "2020-02-03", dtype="datetime64[h]")[:800]
    influence = autoregressive(0.8, len(times), 4)
    keys = {"carrier": carriers[: len(times)], "departure": times}
    found = find_dependence(influence - influence.mean(), Dependence(keys=keys, declared=False))
    assert (found.unit, list(found.groupings)) == (ORDER, [])
    assert found.periods is not None
    assert (np.diff(found.periods) >= 0).all()


def test_equal_rows_without_a_key_are_found() -> None:
    """They are neighbours in the order of hashes."""
    influence = np.repeat(np.random.default_rng(2).normal(size=200), 4)
    assert find_dependence(influence - influence.mean(), Dependence(declared=False)).periods is not None


def test_a_file_sorted_by_class_is_no_suspect() -> None:
    """Models differ between the classes; within them order says nothing."""
    classes = np.repeat([0, 1, 2], 100)
    influence = np.random.default_rng(5).normal(size=300) + np.array([0.0, 3.0, -3.0])[classes]
    assert find_dependence(influence, Dependence(declared=False, classes=classes)).periods is None


def test_independent_rows_are_seldom_suspected() -> None:
    """The test errs in one of a hundred cases."""
    generator = np.random.default_rng(6)
    clusters = generator.integers(0, 25, 500)
    values = [variance_ratio_p_value(generator.standard_t(4, size=500), clusters) for _ in range(500)]
    assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=0.03)
