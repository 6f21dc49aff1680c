from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from support.paired_predictions import labelled, numbers, random_numbers, random_scored, scored

from waterflow.evaluation.comparison import LEAST_OF_CLASS, compare_models, mcnemar_p_value
from waterflow.evaluation.dependence import LEAST_GROUPS, LEAST_PERIODS, ORDER, Dependence
from waterflow.evaluation.paired_metrics import Pair, UndefinedError


def test_a_mean_has_the_wider_of_t_and_bootstrap_interval() -> None:
    """Of independent rows, by scipy: the paired t-test, and the percentile interval at the tail of Student's t."""
    pair = random_numbers(40, seed=4)
    found = compare_models(pair, "mae", alpha=0.05, resamples=5000, seed=0)
    errors = np.abs(pair.truth - pair.challenger.prediction), np.abs(pair.truth - pair.champion.prediction)
    by_t = stats.ttest_rel(errors[1], errors[0])
    low, high = by_t.confidence_interval(0.9)
    drawn = stats.bootstrap(
        errors,
        lambda first, second, axis: second.mean(axis=axis) - first.mean(axis=axis),
        paired=True,
        n_resamples=5000,
        method="percentile",
        confidence_level=1 - 2 * stats.norm.sf(stats.t.isf(0.05, 39)),
        rng=7,
    )
    assert found.difference.value == pytest.approx(errors[1].mean() - errors[0].mean())
    assert found.difference.low == pytest.approx(min(low, drawn.confidence_interval.low), abs=0.02)
    assert found.difference.high == pytest.approx(max(high, drawn.confidence_interval.high), abs=0.02)
    assert found.difference.low <= low + 1e-5
    assert found.difference.high >= high - 1e-5
    assert found.p_value == pytest.approx(stats.ttest_rel(errors[1], errors[0], alternative="greater").pvalue, abs=0.02)


def test_an_area_has_the_standard_error_of_delong() -> None:
    """By the placements of each score among the other class, here pair by pair."""
    pair = random_scored(120, 2, seed=2)
    placements = []
    for model in (pair.challenger, pair.champion):
        positive, scores = model.truth == 1, model.probabilities[:, 1]
        wins = np.sign(scores[positive][:, None] - scores[~positive][None]) / 2 + 0.5
        placements.append((wins.mean(axis=1), wins.mean(axis=0)))
    gains = [first - second for first, second in zip(*placements, strict=True)]
    error = np.sqrt(sum(gain.var(ddof=1) / len(gain) for gain in gains))
    found = compare_models(pair, "roc_auc", alpha=0.05, resamples=2000, seed=0)
    freedom = min(map(len, gains)) - 1
    assert found.difference.low <= found.difference.value - stats.t.isf(0.05, freedom) * error + 1e-9
    assert found.smallest_detectable == pytest.approx(
        (stats.t.isf(0.05, freedom) + stats.t.ppf(0.8, freedom)) * error, rel=0.1
    )


def test_the_interval_of_a_model_stays_within_the_range_of_its_metric() -> None:
    """A model that is nearly always right has no accuracy above 1."""
    truth = np.arange(40) % 2
    nearly = np.where(np.arange(40) < 1, 1 - truth, truth)
    found = compare_models(labelled(truth, nearly, 1 - truth), "accuracy", alpha=0.05, resamples=500, seed=0)
    assert found.challenger.high == 1
    assert found.champion.low == 0


def test_less_error_is_a_positive_difference() -> None:
    """Whichever way the metric goes, positive means that the challenger is better."""
    pair = numbers([1.0, 2.0, 3.0, 4.0], [1.1, 2.1, 2.9, 4.1], [2.0, 1.0, 4.0, 5.0])
    assert compare_models(pair, "rmse", alpha=0.05, resamples=5000, seed=0).difference.value == pytest.approx(0.9)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "balanced_accuracy"])
def test_equal_labels_differ_by_exactly_zero(metric: str) -> None:
    """The rounding of numerical derivatives is no difference."""
    draw = np.random.default_rng(0)
    truth = draw.integers(0, 3, 262)
    calls = np.where(draw.random(262) < 0.8, truth, draw.integers(0, 3, 262))
    found = compare_models(labelled(truth, calls, calls), metric, alpha=0.05, resamples=300, seed=0)
    assert (found.difference.low, found.difference.high, found.smallest_detectable) == (0, 0, None)


def test_a_small_alpha_is_reached() -> None:
    """A budget of looks may ask for less than one in as many resamples."""
    generator = np.random.default_rng(0)
    truth = generator.normal(size=400)
    pair = numbers(truth, truth + generator.normal(0, 0.5, 400), truth + generator.normal(0, 2, 400))
    found = compare_models(pair, "mae", alpha=1e-5, resamples=500, seed=0)
    assert found.difference.low > 0
    assert found.p_value < 1e-5


def test_the_p_value_is_the_alpha_at_which_the_interval_touches_zero() -> None:
    """It is below alpha where, and only where, the interval lies above 0."""
    generator = np.random.default_rng(3)
    for shift in (0.1, 0.3, 0.5, 0.7):
        truth = generator.normal(size=40)
        pair = numbers(truth, truth + generator.normal(0, 1, 40), truth + generator.normal(0, 1 + shift, 40))
        found = compare_models(pair, "mae", alpha=0.05, resamples=2000, seed=1)
        assert (found.p_value < 0.05) == (found.difference.low > 0)


def test_the_detectable_difference_shrinks_with_the_root_of_the_rows() -> None:
    """Four times the rows show half the difference."""
    small, large = (
        compare_models(random_numbers(rows, seed=2), "mae", alpha=0.05, resamples=5000, seed=0) for rows in (400, 1600)
    )
    assert small.smallest_detectable / large.smallest_detectable == pytest.approx(2, rel=0.15)


def test_the_same_rows_give_the_same_interval() -> None:
    """The seed decides the resamples."""
    pair = random_scored(100, 3)
    first, second = (compare_models(pair, "f1_macro", alpha=0.05, resamples=500, seed=1) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "balanced_accuracy", "f1_macro"])
def test_few_rows_of_a_class_decide_nothing(metric: str) -> None:
    """Where the class matters to the metric, however good the challenger is."""
    truth = (np.arange(500) < LEAST_OF_CLASS - 1).astype(int)
    perfect, poor = np.eye(2)[truth], np.full((500, 2), 0.5)
    with pytest.raises(UndefinedError, match="too few rows of the rarest class held out: 7, and 8 are needed"):
        compare_models(scored(truth, perfect, poor), metric, alpha=0.05, resamples=500, seed=0)


def test_ten_rows_of_each_class_can_decide() -> None:
    """Like the holdout of the shipped iris."""
    truth = np.repeat([0, 1, 2], 10)
    found = compare_models(labelled(truth, truth, np.zeros(30, int)), "f1_macro", alpha=0.05, resamples=2000, seed=0)
    assert found.difference.low > 0
    assert found.p_value < 0.01


def test_few_groups_decide_nothing() -> None:
    """However many rows they have."""
    pair = random_numbers(200, groups=LEAST_GROUPS - 1)
    with pytest.raises(UndefinedError, match="too few values of group held out: 4, and 5 are needed"):
        compare_models(pair, "mae", alpha=0.05, resamples=500, seed=0)


def test_few_days_decide_nothing() -> None:
    """However many rows they have."""
    pair = replace(random_numbers(210), dependence=Dependence(periods=np.arange(210) * (LEAST_PERIODS - 1) // 210))
    with pytest.raises(UndefinedError, match="too few days held out: 7, and 8 are needed"):
        compare_models(pair, "mae", alpha=0.05, resamples=500, seed=0)


def test_twenty_days_decide_a_large_gain() -> None:
    """Days that differ among themselves, and a gain that all of them show."""
    generator = np.random.default_rng(1)
    days = np.repeat(np.arange(20), 50)
    truth = generator.normal(size=1000) + generator.normal(size=20)[days]
    pair = replace(numbers(truth, truth * 0.5, np.zeros(1000)), dependence=Dependence(periods=days))
    found = compare_models(pair, "rmse", alpha=0.05, resamples=2000, seed=0)
    assert found.difference.low > 0
    assert found.effective_rows < 1000
    assert "blocks of" in found.clusters[0]


def test_the_shares_of_the_classes_count_where_the_metric_depends_on_them() -> None:
    """A cautious and a bold model have the same accuracy by luck of the shares: between the classes lies the error."""
    generator, truth = np.random.default_rng(0), np.arange(400) % 2
    cautious = generator.random(400) < np.where(truth == 1, 0.1, 0.0)
    bold = generator.random(400) < np.where(truth == 1, 0.95, 0.85)
    pair = labelled(truth, cautious.astype(int), bold.astype(int))
    of_accuracy, of_balanced = (
        compare_models(pair, metric, alpha=0.05, resamples=2000, seed=0) for metric in ("accuracy", "balanced_accuracy")
    )
    assert of_accuracy.difference.value == pytest.approx(of_balanced.difference.value)
    assert of_accuracy.smallest_detectable > 2 * of_balanced.smallest_detectable


def test_undeclared_groups_widen_the_interval() -> None:
    """A key column whose rows resemble each other is named, and its rows are drawn together."""
    generator = np.random.default_rng(2)
    customers = generator.integers(0, 40, 1000)
    truth = np.zeros(1000)
    bias = generator.normal(0, 1, 40)[customers]
    pair = numbers(truth, 2 + bias + generator.normal(size=1000), 2 + generator.normal(size=1000))
    undeclared = replace(pair, dependence=Dependence(keys={"customer_id": customers}, declared=False))
    plain, found = (compare_models(given, "mae", alpha=0.05, resamples=500, seed=0) for given in (pair, undeclared))
    assert (plain.suspects, found.suspects) == ((), ("customer_id",))
    assert found.smallest_detectable > 2 * plain.smallest_detectable
    assert found.effective_rows < 250


def test_rows_in_order_widen_the_interval() -> None:
    """Where neighbours resemble each other."""
    generator = np.random.default_rng(3)
    bias = np.repeat(generator.normal(size=50), 20)
    pair = numbers(np.zeros(1000), 2 + bias + generator.normal(size=1000), 2 + generator.normal(size=1000))
    found = compare_models(
        replace(pair, dependence=Dependence(declared=False)), "mae", alpha=0.05, resamples=500, seed=0
    )
    assert found.suspects == (ORDER,)


def test_no_row_decides_nothing() -> None:
    """An empty slice is named, not a crash."""
    pair = random_scored(10, 2)
    with pytest.raises(UndefinedError, match="no row"):
        compare_models(pair.take(np.zeros(10, dtype=bool)), "accuracy", alpha=0.05, resamples=5000, seed=0)


def test_a_class_of_one_group_decides_nothing() -> None:
    """However many rows and groups there are: the class is seen once."""
    pair, sites = random_scored(200, 2), np.arange(200) // 10
    truth = (sites == 3).astype(int)
    models = [replace(model, truth=truth) for model in (pair.challenger, pair.champion)]
    grouped = Pair("classification", models[0], models[1], Dependence(groupings={"site": sites}))
    with pytest.raises(UndefinedError, match="too few values of site with the rarest class held out: 1"):
        compare_models(grouped, "roc_auc", alpha=0.05, resamples=500, seed=0)


def test_mcnemar_is_the_exact_binomial_test_of_the_rows_that_differ() -> None:
    """Seven rows right by the challenger alone, one by the champion alone."""
    truth = np.ones(50, dtype=int)
    first, second = truth.copy(), truth.copy()
    first[0], second[1:8] = 0, 0
    assert mcnemar_p_value(labelled(truth, first, second)) == pytest.approx(stats.binomtest(1, 8).pvalue)
