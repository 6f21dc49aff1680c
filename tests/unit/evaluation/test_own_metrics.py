import numpy as np
import pytest
from support.paired_predictions import random_numbers, random_scored
from support.projects import message_of

from waterflow.config.schema import OwnMetric
from waterflow.errors import ConfigError
from waterflow.evaluation.bootstrap import Units
from waterflow.evaluation.comparison import compare_models
from waterflow.evaluation.paired_metrics import Pair, UndefinedError, prepare_metric
from waterflow.scoring.own_metrics import answers_of, call_own

ERROR = OwnMetric(function="sklearn.metrics.mean_absolute_error", greater_is_better=False)
OF_ROWS = OwnMetric(function="numpy.subtract", greater_is_better=False)
BRIER = OwnMetric(function="sklearn.metrics.brier_score_loss", greater_is_better=False, needs="probabilities")


def of_numbers(own: OwnMetric, rows: int = 80) -> Pair:
    """Draw a regression whose only own metric is `mine`."""
    pair = random_numbers(rows)
    return Pair(pair.task, pair.challenger, pair.champion, own={"mine": own})


def test_a_number_of_all_rows_is_compared_as_waterflows_own_metric_is() -> None:
    """Value, influence and interval are those of the metric that does the same."""
    pair = of_numbers(ERROR)
    mine, known = prepare_metric(pair, "mine"), prepare_metric(pair, "mae")
    assert mine.observed == pytest.approx(known.observed)
    assert mine.influence == pytest.approx(known.influence, abs=1e-6)
    first, second = (compare_models(pair, name, alpha=0.05, resamples=400, seed=1) for name in ("mine", "mae"))
    assert first.difference.value == pytest.approx(second.difference.value)
    assert (first.difference.low, first.difference.high) == pytest.approx(
        (second.difference.low, second.difference.high), abs=0.02
    )


def test_a_number_for_each_row_is_their_mean() -> None:
    """It needs no call for each resample."""
    pair = of_numbers(OF_ROWS)
    metric = prepare_metric(pair, "mine")
    errors = [(pair.truth - model.prediction).mean() for model in (pair.challenger, pair.champion)]
    assert metric.observed == pytest.approx(errors)
    assert metric.resample(Units(80), 50, np.random.default_rng(0)).shape == (50, 2)


def test_lower_is_better_where_it_says_so() -> None:
    """The difference is positive where the challenger's loss is smaller."""
    pair = of_numbers(ERROR)
    better = compare_models(pair, "mine", alpha=0.05, resamples=200, seed=0)
    assert better.difference.value == pytest.approx(better.champion.value - better.challenger.value)


def test_probabilities_are_of_the_positive_class() -> None:
    """Of two classes one column, of more all of them."""
    two, three = random_scored(40, 2).challenger, random_scored(40, 3).challenger
    assert two.probabilities is not None
    assert np.array_equal(answers_of(BRIER, two, 0), two.probabilities[:, 0])
    assert np.array_equal(answers_of(BRIER, two), two.probabilities[:, 1])
    assert np.array_equal(answers_of(BRIER, three), three.probabilities)


def test_one_number_of_very_many_rows_is_refused_with_the_remedy() -> None:
    """Leaving out each row once would take hours."""
    with pytest.raises(UndefinedError, match="let it return a value for each row"):
        prepare_metric(of_numbers(ERROR, 20_001), "mine")


@pytest.mark.parametrize(
    ("function", "said"),
    [("math.sqrt", "raised TypeError"), ("numpy.outer", "returned shape (4, 4)"), ("numpy.no", "did you mean 'numpy.")],
)
def test_a_function_that_will_not_do_is_named(function: str, said: str) -> None:
    """With what it was called with, or what it returned."""
    own = OwnMetric(function=function, greater_is_better=True)
    message = message_of(lambda: call_own("mine", own, np.ones(4), np.ones(4), None), ConfigError)
    assert message.startswith("metrics.own.mine")
    assert said in message
