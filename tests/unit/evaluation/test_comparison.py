import numpy as np
import pytest
from scipy import stats
from support.paired_predictions import labelled, numbers, random_numbers, random_scored

from waterflow.config.schema import EvidenceConfig
from waterflow.evaluation.bootstrap import Units
from waterflow.evaluation.comparison import compare, mcnemar_p_value, p_value, tail_share
from waterflow.evaluation.paired_metrics import UndefinedError

EVIDENCE = EvidenceConfig(resamples=5000)


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_the_plain_case_agrees_with_scipy(metric: str) -> None:
    """Without strata and groups the interval is scipy's percentile interval, at the same tail."""
    pair = random_numbers(200, seed=4)
    found = compare(pair, metric, EVIDENCE, seed=0)
    errors = np.abs(pair.truth - pair.challenger.prediction), np.abs(pair.truth - pair.champion.prediction)
    power = {"mae": 1, "rmse": 2}[metric]

    def difference(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
        return (second**power).mean(axis=axis) ** (1 / power) - (first**power).mean(axis=axis) ** (1 / power)

    tail = tail_share(Units(200), EVIDENCE.alpha)
    expected = stats.bootstrap(
        errors, difference, paired=True, n_resamples=5000, method="percentile", confidence_level=1 - 2 * tail, rng=7
    )
    error = 4 * expected.standard_error / np.sqrt(tail * 5000)
    assert found.difference.value == pytest.approx(float(difference(*errors, axis=-1)))
    assert found.difference.low == pytest.approx(expected.confidence_interval.low, abs=error)
    assert found.difference.high == pytest.approx(expected.confidence_interval.high, abs=error)


def test_accuracy_without_strata_agrees_with_scipy() -> None:
    """A metric of counts, drawn as counts, has the interval of drawn rows."""
    generator = np.random.default_rng(0)
    truth = np.ones(300, dtype=int)  # one class is one stratum
    pair = labelled(truth, generator.random(300) < 0.9, generator.random(300) < 0.8)
    hits = [(given.prediction == truth).astype(float) for given in (pair.challenger, pair.champion)]
    found = compare(pair, "accuracy", EVIDENCE, seed=0).difference
    tail = tail_share(Units(300), EVIDENCE.alpha)
    expected = stats.bootstrap(
        hits,
        lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis),
        paired=True,
        n_resamples=5000,
        method="percentile",
        confidence_level=1 - 2 * tail,
        rng=7,
    )
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=0.005)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=0.005)


def test_less_error_is_a_positive_difference() -> None:
    """Whichever way the metric goes, positive means that the challenger is better."""
    pair = numbers([1.0, 2.0, 3.0, 4.0], [1.1, 2.1, 2.9, 4.1], [2.0, 1.0, 4.0, 5.0])
    assert compare(pair, "rmse", EVIDENCE, seed=0).difference.value == pytest.approx(0.9)


def test_the_interval_of_a_small_holdout_is_widened() -> None:
    """The tail left out is smaller than alpha, and becomes alpha as rows grow."""
    assert tail_share(Units(10), 0.05) < 0.035
    assert tail_share(Units(10_000), 0.05) == pytest.approx(0.05, abs=1e-4)


def test_the_p_value_is_the_alpha_at_which_the_interval_touches_zero() -> None:
    """It is below alpha where, and only where, the interval lies above 0."""
    generator = np.random.default_rng(3)
    for shift in (0.1, 0.3, 0.5, 0.7):
        truth = generator.normal(size=40)
        pair = numbers(truth, truth + generator.normal(0, 1, 40), truth + generator.normal(0, 1 + shift, 40))
        found = compare(pair, "mae", EvidenceConfig(resamples=2000), seed=1)
        assert (found.p_value < 0.05) == (found.difference.low > 0)


def test_no_resample_without_gain_is_not_proof() -> None:
    """The p-value never reaches 0: it is bounded by the number of resamples."""
    assert p_value(np.ones(999), Units(100_000)) == pytest.approx(0.001, rel=0.01)


def test_the_detectable_difference_shrinks_with_the_root_of_the_rows() -> None:
    """Four times the rows show half the difference."""
    small, large = (compare(random_numbers(rows, seed=2), "mae", EVIDENCE, seed=0) for rows in (400, 1600))
    assert small.smallest_detectable / large.smallest_detectable == pytest.approx(2, rel=0.15)


def test_the_same_rows_give_the_same_interval() -> None:
    """The seed decides the resamples."""
    pair = random_scored(100, 3)
    assert compare(pair, "f1_macro", EVIDENCE, seed=1) == compare(pair, "f1_macro", EVIDENCE, seed=1)


def test_one_row_of_each_class_decides_nothing() -> None:
    """Nothing could have come out otherwise."""
    with pytest.raises(UndefinedError, match="nothing to draw"):
        compare(labelled([0, 1], [0, 1], [1, 0]), "accuracy", EVIDENCE, seed=0)


def test_no_row_decides_nothing() -> None:
    """An empty slice is named, not a crash."""
    pair = random_scored(10, 2)
    with pytest.raises(UndefinedError, match="no row"):
        compare(pair.take(np.zeros(10, dtype=bool)), "accuracy", EVIDENCE, seed=0)


def test_a_metric_that_most_resamples_lack_is_undefined() -> None:
    """Two groups of one class each: half of the draws have no area under the ROC curve."""
    pair = random_scored(40, 2)
    grouped = pair.__class__(pair.task, pair.challenger, pair.champion, groups=pair.truth)
    with pytest.raises(UndefinedError, match="holdouts that these rows could have been"):
        compare(grouped, "roc_auc", EVIDENCE, seed=0)


def test_mcnemar_is_the_exact_binomial_test_of_the_rows_that_differ() -> None:
    """Seven rows right by the challenger alone, one by the champion alone."""
    truth = np.ones(50, dtype=int)
    first, second = truth.copy(), truth.copy()
    first[0], second[1:8] = 0, 0
    assert mcnemar_p_value(labelled(truth, first, second)) == pytest.approx(stats.binomtest(1, 8).pvalue)
