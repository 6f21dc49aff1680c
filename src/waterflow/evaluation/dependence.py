"""Standard errors of metrics on rows that resemble each other.

A metric is linearised: the influence of a row is the derivative of the metric in the row's weight, times the number
of rows, so that the metric's error is about the mean of the influences. That mean's variance is clustered by blocks
of time and by groupings (Cameron, Gelbach and Miller, JBES 29, 2011).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from waterflow.config.schema import PipelineConfig
from waterflow.evaluation.bootstrap import Codes, Units, Values
from waterflow.evaluation.long_run_variance import autoregressive_variance, cosine_variance, optimal_block_length
from waterflow.plurals import counted

LEAST_PERIODS = 8
LEAST_GROUPS = 5
LEAST_ROWS_IN_BIN = 5
MOST_BINS = 365
SIGNIFICANCE = 0.01
ORDER = "order of the key"


@dataclass(frozen=True)
class Dependence:
    """How rows belong together, each array of shape (rows,).

    `periods` holds each row's calendar `unit`, numbered in order of time. `groupings` are columns whose equal values
    are drawn together. `keys` are columns that name rows, to be tested where `declared` is False. So is the order of
    rows by their key, as numbers and times often follow the order of arrival; that within `classes`, numbered from 0,
    because files are often sorted by class.
    """

    periods: Codes | None = None
    unit: str = "day"
    groupings: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    keys: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    declared: bool = True
    classes: Codes | None = None

    def take(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the same on some of the rows."""
        return replace(
            self,
            periods=None if self.periods is None else self.periods[chosen],
            groupings={name: values[chosen] for name, values in self.groupings.items()},
            keys={name: values[chosen] for name, values in self.keys.items()},
            classes=None if self.classes is None else self.classes[chosen],
        )


@dataclass(frozen=True)
class Clustering:
    """One way in which rows belong together. It is the cluster of each row, and the variance of a mean that follows.

    `freedom` are the degrees of freedom of `variance`. `units` says in words what a cluster is. `parts` are what
    clusters consist of, such as days, at least `least` of which are needed; `noun` names them.
    """

    name: str
    clusters: Codes
    variance: float
    freedom: float
    units: str
    parts: Codes
    least: int
    noun: str


@dataclass(frozen=True)
class ErrorEstimate:
    """A metric's standard error and its degrees of freedom. Also how many independent rows would have the same."""

    standard_error: float
    freedom: float
    effective_rows: float
    clusterings: tuple[Clustering, ...] = ()

    def units(self, strata: Codes | None, rows: int) -> Units:
        """Return what a bootstrap draws. It is the clusters of the largest variance, else rows."""
        if not self.clusterings:
            return Units(rows, strata)
        return Units(rows, clusters=max(self.clusterings, key=lambda entry: entry.variance).clusters)


def declare_dependence(rows: pd.DataFrame, config: PipelineConfig) -> Dependence:
    """Return how rows belong together. The pipeline's time column, group and `promotion.dependence` decide it."""
    stated = config.promotion.dependence
    names = dict.fromkeys([*([config.group] if config.group else []), *(stated.by if stated else ())])
    unit = (stated.time if stated else None) or "day"
    dated = config.time_column is not None
    return Dependence(
        periods=calendar_periods(rows[config.time_column], unit, config.clock) if dated else None,
        unit=unit,
        groupings={name: rows[name].to_numpy() for name in names},
        keys={name: rows[name].to_numpy() for name in config.key},
        declared=dated or bool(names) or stated is not None,
        classes=_codes(rows[config.target].to_numpy()) if config.task == "classification" else None,
    )


def describe_suspect(name: str) -> str:
    """Return a warning about rows that resemble each other. A test finds the resemblance."""
    if name == ORDER:
        return "rows with neighbouring keys resemble each other: declare `time_column` or `group`"
    return f"rows of one `{name}` resemble each other: declare `group` or `promotion.dependence`"


def calendar_periods(times: pd.Series, unit: str, zone: str) -> Codes:
    """Return the number of each time's period, in order. Periods are hours, days, weeks or months."""
    local = pd.to_datetime(times, utc=True).dt.tz_convert(zone).dt.tz_localize(None)
    starts = local.dt.to_period({"hour": "h", "day": "D", "week": "W", "month": "M"}[unit]).dt.start_time
    return np.unique(starts.to_numpy(), return_inverse=True)[1]


def estimate_error(influence: Values, dependence: Dependence, strata: Codes | None) -> ErrorEstimate:
    """Estimate the standard error of a metric. It follows from the influences of its rows, shape (rows,).

    The variance is never below that of the largest single clustering, nor below that of independent rows. The degrees
    of freedom are those of the clustering with the fewest clusters, without one those of the smallest stratum.
    """
    rows, independent = len(influence), row_variance(influence, strata)
    clusterings = _clusterings(influence, dependence)
    variance = max(independent, _multiway_variance(influence, clusterings)) if clusterings else independent
    freedom = min((entry.freedom for entry in clusterings), default=_row_freedom(rows, strata))
    effective = rows * independent / variance if variance > 0 else float(rows)
    return ErrorEstimate(float(np.sqrt(variance)), freedom, effective, tuple(clusterings))


def row_variance(influence: Values, strata: Codes | None) -> float:
    """Compute the variance of a mean of independent rows. They are drawn within strata where given."""
    strata = np.zeros(len(influence), dtype=np.intp) if strata is None else strata
    sizes = np.bincount(strata)
    squares = np.bincount(strata, weights=(influence - _stratum_means(influence, strata)) ** 2)
    return float((squares * sizes / np.maximum(sizes - 1, 1)).sum()) / len(influence) ** 2


def cluster_variance(influence: Values, clusters: Codes) -> float:
    """Compute the variance of a mean over independent clusters. They are numbered from 0."""
    sums = np.bincount(clusters, weights=influence)
    return float(sums @ sums) / len(influence) ** 2 * len(sums) / max(len(sums) - 1, 1)


def find_dependence(influence: Values, dependence: Dependence) -> Dependence:
    """Return an undeclared dependence with what a test finds.

    The influences of rows that share a value of a key column, or are neighbours in the order of another one, are
    compared with all others by analyses of variance, at 1 % over all of them. Prepared rows lie in the order of their
    hashes, so without a key neighbours are equal rows.
    """
    keys = {name: _codes(values) for name, values in dependence.keys.items()}
    repeated = {name: codes for name, codes in keys.items() if 1 < codes.max() + 1 < len(codes)}
    least = SIGNIFICANCE / (len(repeated) + max(1, len(keys)))
    shared = {name: codes for name, codes in repeated.items() if variance_ratio_p_value(influence, codes) < least}
    places = [_places_of(values) for name, values in dependence.keys.items() if name not in shared]
    within = _standardise(influence, dependence.classes)
    p_value, bins = min(
        (_test_order(within, order) for order in (places if keys else [np.arange(len(influence))])),
        key=lambda tested: tested[0],
        default=(1.0, None),
    )
    return replace(dependence, groupings=shared, periods=bins if p_value < least else None, unit=ORDER)


def _places_of(values: NDArray[Any]) -> Codes:
    """Return each row's place in a column's order.

    The shape is (rows,). Objects are ordered by their text.
    """
    column = pd.Series(values)
    ranks = (column.astype(str) if column.dtype == object else column).rank(method="first", na_option="bottom")
    return ranks.to_numpy().astype(np.intp) - 1


def _test_order(influence: Values, places: Codes) -> tuple[float, Codes]:
    """Test whether neighbours resemble each other. Returns the p-value, and bins of neighbours, shape (rows,)."""
    bins = places * min(MOST_BINS, len(places) // LEAST_ROWS_IN_BIN) // len(places)
    return (variance_ratio_p_value(influence, bins) if bins.max() > 0 else 1.0), bins


def variance_ratio_p_value(influence: Values, clusters: Codes) -> float:
    """Test whether the means of clusters, numbered from 0, differ. The test is a one-way analysis of variance."""
    sizes, sums = np.bincount(clusters), np.bincount(clusters, weights=influence)
    between = (sums**2 / sizes).sum() - influence.sum() ** 2 / len(influence)
    inside = (influence**2).sum() - (sums**2 / sizes).sum()
    freedom = len(sizes) - 1, len(influence) - len(sizes)
    if inside <= 1e-12 * (influence**2).sum():
        return float(between <= inside)
    return float(stats.f.sf((between / freedom[0]) / (inside / freedom[1]), *freedom))


def effective_count(clusters: Codes) -> float:
    """Return how many equal clusters would count as much. See Kish (1965)."""
    sizes = np.bincount(clusters).astype(float)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def _clusterings(influence: Values, dependence: Dependence) -> list[Clustering]:
    clusterings = [_by_value(influence, name, _codes(values)) for name, values in dependence.groupings.items()]
    if dependence.periods is not None:
        clusterings.append(_in_time(influence, _codes(dependence.periods), dependence))
    return clusterings


def _by_value(influence: Values, name: str, clusters: Codes) -> Clustering:
    return Clustering(
        name,
        clusters,
        variance=cluster_variance(influence, clusters),
        freedom=effective_count(clusters) - 1,
        units=f"{clusters.max() + 1:,} values of {name}",
        parts=clusters,
        least=LEAST_GROUPS,
        noun=f"values of {name}",
    )


def _in_time(influence: Values, periods: Codes, dependence: Dependence) -> Clustering:
    """Cluster by blocks of time.

    The variance is the largest of four: that of periods, of blocks, of the cosine estimator and of an autoregression.
    """
    is_by_key, rows = dependence.unit == ORDER, len(influence)
    within = _centre(influence, dependence.classes) if is_by_key else influence
    sums, sizes = np.bincount(periods, weights=within), np.bincount(periods)
    length = int(np.ceil(optimal_block_length(sums / sizes))) if len(sums) >= LEAST_PERIODS else 1
    count = max(2, len(sums) // length)
    blocks = periods * count // len(sums)
    terms = max(2, round(0.4 * effective_count(periods) ** (2 / 3)))
    estimates = (
        cluster_variance(within, periods),
        cluster_variance(within, blocks),
        cosine_variance(sums, terms) / rows**2,
        autoregressive_variance(sums) / rows**2,
    )
    between_classes = float(((influence - within) ** 2).sum()) / rows**2
    return Clustering(
        dependence.unit,
        blocks,
        variance=max(estimates) + between_classes,
        freedom=min(terms, effective_count(blocks) - 1),
        units=f"{count:,} blocks " + (f"in {ORDER}" if is_by_key else f"of {counted(length, dependence.unit)}"),
        parts=periods,
        least=LEAST_PERIODS,
        noun=f"runs of rows in {ORDER}" if is_by_key else f"{dependence.unit}s",
    )


def _multiway_variance(influence: Values, clusterings: Sequence[Clustering]) -> float:
    """Add up the variances of all clusterings. Those of crossings are taken off, by inclusion and exclusion."""
    total = sum(entry.variance for entry in clusterings)
    for size in range(2, len(clusterings) + 1):
        for chosen in combinations(clusterings, size):
            crossed = pd.MultiIndex.from_arrays([entry.clusters for entry in chosen]).factorize()[0]
            total += (-1) ** (size + 1) * cluster_variance(influence, crossed)
    return max(total, *(entry.variance for entry in clusterings))


def _row_freedom(rows: int, strata: Codes | None) -> float:
    return float((rows if strata is None else np.bincount(strata).min()) - 1)


def _centre(influence: Values, classes: Codes | None) -> Values:
    return influence if classes is None else influence - _stratum_means(influence, classes)


def _standardise(influence: Values, classes: Codes | None) -> Values:
    """Scale each class to variance 1. Otherwise rare classes would decide, where they happen to stand."""
    within = _centre(influence, classes)
    scale = np.sqrt(_stratum_means(within**2, np.zeros(len(within), dtype=np.intp) if classes is None else classes))
    return np.divide(within, scale, out=np.zeros_like(within), where=scale > 0)


def _stratum_means(influence: Values, strata: Codes) -> Values:
    means: Values = (np.bincount(strata, weights=influence) / np.maximum(np.bincount(strata), 1))[strata]
    return means


def _codes(values: NDArray[Any]) -> Codes:
    return np.asarray(pd.factorize(values, sort=values.dtype.kind == "i", use_na_sentinel=False)[0])
