"""Whether one model is better than another on the same rows: the difference, its interval and what they decide.

The interval is the percentile interval of a paired bootstrap, its tails widened as Student's t is wider than the
normal distribution (Hesterberg, The American Statistician 69, 2015, section 4: expanded percentile interval).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from waterflow.config.metrics import METRICS
from waterflow.config.schema import EvidenceConfig
from waterflow.evaluation.bootstrap import Units
from waterflow.evaluation.paired_metrics import Pair, UndefinedError, Values, resample_metric

ACCURACY_LIKE = ("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro")
POWER = 0.8
MOST_UNDEFINED = 0.05


@dataclass(frozen=True)
class Interval:
    """A value and the interval around it, at confidence `1 - 2·alpha`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """One metric of both models and their difference, which is positive where the challenger is better.

    `p_value` is the smallest alpha at which the interval would lie above 0; `smallest_detectable` the difference
    whose interval would do so in four of five holdouts like this one: (t_alpha + t_0.8) standard errors of the
    bootstrap, None where the difference is the same on every resample.
    """

    metric: str
    challenger: Interval
    champion: Interval
    difference: Interval
    p_value: float
    smallest_detectable: float | None


def compare(pair: Pair, metric: str, evidence: EvidenceConfig, seed: int) -> Comparison:
    """Compare two models on one metric; raises UndefinedError where there is nothing to compare."""
    if not len(pair.truth):
        raise UndefinedError("there is no row")
    units = pair.units()
    if units.freedom < 1:
        raise UndefinedError("there is nothing to draw again: one row or group for each class")
    observed, drawn = resample_metric(pair, metric, units, evidence.resamples, np.random.default_rng(seed))
    drawn = drawn[np.isfinite(drawn).all(axis=1)]
    if not np.isfinite(observed).all() or len(drawn) < (1 - MOST_UNDEFINED) * evidence.resamples:
        raise UndefinedError("it has no value on many of the holdouts that these rows could have been")
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    differences = sign * (drawn[:, 0] - drawn[:, 1])
    tail = tail_share(units, evidence.alpha)
    quantile = stats.t(units.freedom)
    spread = math.sqrt(units.count / units.freedom) * float(np.std(differences))
    return Comparison(
        metric=metric,
        challenger=_interval(observed[0], drawn[:, 0], tail),
        champion=_interval(observed[1], drawn[:, 1], tail),
        difference=_interval(sign * (observed[0] - observed[1]), differences, tail),
        p_value=p_value(differences, units),
        smallest_detectable=float(quantile.isf(evidence.alpha) + quantile.ppf(POWER)) * spread or None,
    )


def tail_share(units: Units, alpha: float) -> float:
    """Say which share of the resamples lies beyond each end of the interval; a little less than `alpha`.

    A resample varies less than a new sample, by `freedom / count`, and its spread is itself an estimate.
    """
    return float(stats.norm.sf(math.sqrt(units.count / units.freedom) * stats.t(units.freedom).isf(alpha)))


def p_value(differences: Values, units: Units) -> float:
    """Give the one-sided p-value: `tail_share` turned around, at the share of resamples without a gain."""
    share = (1 + np.count_nonzero(differences <= 0)) / (1 + len(differences))
    return float(stats.t(units.freedom).sf(math.sqrt(units.freedom / units.count) * stats.norm.isf(share)))


def mcnemar_p_value(pair: Pair) -> float:
    """Test by McNemar's exact test, two-sided, whether the two models are right equally often."""
    from statsmodels.stats.contingency_tables import mcnemar  # with scipy.stats loaded, some 20 ms

    first, second = (np.asarray(given.prediction == pair.truth) for given in (pair.challenger, pair.champion))
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    return float(mcnemar(table, exact=True).pvalue)


def _interval(value: float, drawn: NDArray[np.float64], tail: float) -> Interval:
    # Values that occurred, outwards: a metric of counts jumps, and between two jumps nothing was seen.
    low = np.quantile(drawn, tail, method="lower")
    high = np.quantile(drawn, 1 - tail, method="higher")
    return Interval(float(value), float(low), float(high))
