"""Whether one model beats another on the same rows. A comparison is the difference, its interval and its p-value.

The interval is the wider one, at each end, of two. The first is that of Student's t on the standard error from the
rows' influences, clustered where rows resemble each other. The second is the percentile interval of a paired
bootstrap, its tails widened as Student's t is wider than the normal distribution (Hesterberg, The American
Statistician 69, 2015, section 4) and its deviations stretched to the same standard error.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
from scipy import stats

from waterflow.config.metrics import Metric
from waterflow.evaluation.bootstrap import Codes, Values
from waterflow.evaluation.dependence import (
    Clustering,
    ErrorEstimate,
    effective_count,
    estimate_error,
    find_dependence,
)
from waterflow.evaluation.paired_metrics import OVER_CLASSES, WITHIN_CLASSES, Pair, UndefinedError, prepare_metric

ACCURACY_LIKE = ("accuracy", "balanced_accuracy", "precision_macro", "recall_macro", "f1_macro")
LEAST_OF_CLASS = 8
POWER = 0.8
MOST_UNDEFINED = 0.05
ROUNDING = 1e-9


@dataclass(frozen=True)
class Interval:
    """A value and its interval, at confidence `1 - 2·alpha`."""

    value: float
    low: float
    high: float

    def within(self, metric: Metric) -> Self:
        """Return the part that the metric can reach."""
        return replace(self, low=max(self.low, metric.lowest), high=min(self.high, metric.highest))


@dataclass(frozen=True)
class Comparison:
    """One metric of both models and their difference. It is positive where the challenger is better.

    `p_value` is the smallest alpha at which the interval would lie above 0; `smallest_detectable` the difference
    whose interval would do so in four of five holdouts like this one: (t_alpha + t_0.8) standard errors, None where the
    difference is the same on every row. `effective_rows` is the number of independent rows with the same standard
    error; `clusters` says in words which rows were taken together, `suspects` which of that was found by a test.
    """

    metric: str
    rows: int
    challenger: Interval
    champion: Interval
    difference: Interval
    p_value: float
    smallest_detectable: float | None
    effective_rows: float
    clusters: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()


def compare_models(pair: Pair, metric: str, *, alpha: float, resamples: int, seed: int) -> Comparison:
    """Compare two models on one metric. The confidence is `1 - 2·alpha`.

    Raises UndefinedError where the metric has no value, or where too few rows, groups or days could tell.
    """
    if not len(pair.truth):
        raise UndefinedError(f"{metric} is undefined: there is no row")
    prepared = prepare_metric(pair, metric)
    known = pair.find_metric(metric)
    sign = 1.0 if known.greater_is_better else -1.0
    observed = _with_difference(prepared.observed[None], sign)[0]
    influence = _without_noise(_with_difference(prepared.influence, sign))
    classes = pd.factorize(pair.truth, use_na_sentinel=False)[0] if pair.task == "classification" else None
    dependence = pair.dependence
    if not dependence.declared:
        dependence = find_dependence(influence[:, 2], dependence)
    strata = classes if metric in WITHIN_CLASSES else None
    errors = [estimate_error(column, dependence, strata) for column in influence.T]
    of_classes = check_counts(classes if metric in OVER_CLASSES else None, errors[2].clusterings)
    drawn = prepared.resample(errors[2].units(strata, len(influence)), resamples, np.random.default_rng(seed))
    drawn = _with_difference(drawn[np.isfinite(drawn).all(axis=1)], sign)
    if not np.isfinite(observed).all() or len(drawn) < (1 - MOST_UNDEFINED) * resamples:
        raise UndefinedError(f"{metric} is undefined on many of the holdouts that these rows could have been")
    estimates = [
        _Estimate.of(value, draws, error, min(error.freedom, of_classes))
        for value, draws, error in zip(observed, drawn.T, errors, strict=True)
    ]
    found = estimates[2]
    return Comparison(
        metric=metric,
        rows=len(influence),
        challenger=estimates[0].interval(alpha).within(known),
        champion=estimates[1].interval(alpha).within(known),
        difference=found.interval(alpha),
        p_value=found.p_value(),
        smallest_detectable=found.smallest_detectable(alpha) or None,
        effective_rows=errors[2].effective_rows,
        clusters=tuple(entry.units for entry in errors[2].clusterings),
        suspects=() if pair.dependence.declared else tuple(entry.name for entry in errors[2].clusterings),
    )


def check_counts(classes: Codes | None, clusterings: Sequence[Clustering]) -> float:
    """Return the degrees of freedom that the rarest class leaves. They are infinite where classes do not matter.

    Raises UndefinedError where periods, groups or rows, of each class if classes matter, are too few to decide.
    """
    by_class = [] if classes is None else [np.flatnonzero(classes == code) for code in np.unique(classes)]
    counted = [(len(rows), LEAST_OF_CLASS, "rows of the rarest class") for rows in by_class]
    for entry in clusterings:
        of_class = [len(np.unique(entry.parts[rows])) for rows in by_class]
        counted += [(units, entry.least, f"{entry.noun} with the rarest class") for units in of_class]
        counted.append((len(np.unique(entry.parts)), entry.least, entry.noun))
    scarce = [(units, least, noun) for units, least, noun in counted if units < least]
    if scarce:
        found, least, noun = min(scarce)
        raise UndefinedError(f"too few {noun} held out: {found}, and {least} are needed to decide")
    effective = [effective_count(entry.clusters[rows]) for entry in clusterings for rows in by_class]
    return min([*effective, *map(len, by_class)], default=np.inf) - 1


def mcnemar_p_value(pair: Pair) -> float:
    """Test whether the two models are right equally often. This is McNemar's exact test, two-sided."""
    from statsmodels.stats.contingency_tables import mcnemar  # with scipy.stats loaded, some 20 ms

    first, second = (np.asarray(model.prediction == pair.truth) for model in (pair.challenger, pair.champion))
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    return float(mcnemar(table, exact=True).pvalue)


@dataclass(frozen=True)
class _Estimate:
    """A value, its standard error and its degrees of freedom. The resampled values have the same spread."""

    value: float
    standard_error: float
    freedom: float
    draws: Values

    @classmethod
    def of(cls, value: float, draws: Values, error: ErrorEstimate, freedom: float) -> "_Estimate":
        """Stretch the deviations of `draws` to the standard error. The larger of two estimates of it counts."""
        spread = float(np.std(draws))
        largest = max(error.standard_error, spread)
        return cls(value, largest, freedom, value + (draws - value) * (largest / spread if spread else 1.0))

    def interval(self, alpha: float) -> Interval:
        """Return the wider of both intervals at each end.

        The bootstrap's ends are values that occurred, outwards: a metric of counts jumps, and between two jumps
        nothing was seen.
        """
        reach = float(stats.t.isf(alpha, self.freedom))
        tail, margin = float(stats.norm.sf(reach)), reach * self.standard_error
        low = min(self.value - margin, float(np.quantile(self.draws, tail, method="lower")))
        high = max(self.value + margin, float(np.quantile(self.draws, 1 - tail, method="higher")))
        return Interval(self.value, low, high)

    def p_value(self) -> float:
        """Return the one-sided p-value: the larger of both intervals'."""
        share = float(np.mean(self.draws <= 0))
        ratios = [self.value / self.standard_error if self.standard_error else np.copysign(np.inf, self.value or -1)]
        ratios += [stats.norm.isf(share)] if share else []
        return float(stats.t.sf(min(ratios), self.freedom))

    def smallest_detectable(self, alpha: float) -> float:
        """Return the difference that four of five cases would show."""
        reach = stats.t.isf(alpha, self.freedom) + stats.t.ppf(POWER, self.freedom)
        return float(reach) * self.standard_error


def _without_noise(influence: Values) -> Values:
    """Set tiny differences of influences to 0. They are no more than the rounding of numerical derivatives."""
    influence[np.abs(influence[:, 2]) <= ROUNDING * np.abs(influence).max(), 2] = 0
    return influence


def _with_difference(values: Values, sign: float) -> Values:
    """Add the oriented difference as a third column."""
    return np.column_stack([values, sign * (values[:, 0] - values[:, 1])])
