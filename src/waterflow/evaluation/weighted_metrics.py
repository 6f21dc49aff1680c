"""Metrics as functions of the rows' weights. They are functions of sums over rows, or of the order of rows.

The influence of a row is the derivative of the metric in its weight, times the number of rows; influences sum to zero.
A metric is one of challenger and champion: its values on the rows have shape (2,), the influences (rows, 2), and values
on resamples (resamples, 2), NaN where a resample lacks what the metric needs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from waterflow.evaluation.bootstrap import Codes, Units, Values, draw_row_weights, resample_counts, resample_sums


@dataclass(frozen=True)
class Curve:
    """One model's metric. `value` maps weights of shape (resamples, rows) to shape (resamples,).

    Rows are sorted once and weighted many times. `influence` has shape (rows,).
    """

    value: Callable[[Values], Values]
    influence: Values


@dataclass(frozen=True)
class SumMetric:
    """A function of sums. `value` maps sums of shape (resamples, k) to (resamples, 2).

    `columns`, shape (cells, k), belong to the rows of each cell; `cells`, shape (rows,), numbers each row's, None where
    each row is a cell. The last column is 1, so that its sum is the number of rows.
    """

    columns: Values
    value: Callable[[Values], Values]
    cells: Codes | None = None

    @property
    def observed(self) -> Values:
        """Return the metric on the rows."""
        return self.value(self._counts() @ self.columns[None])[0]

    @property
    def influence(self) -> Values:
        """Return the derivative in each row's weight. It is taken by central differences in each sum."""
        total, scale = self._counts() @ self.columns, self._counts() @ np.abs(self.columns)
        steps = 1e-5 * np.where(scale > 0, scale, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            rise = self.value(total + np.diag(steps)) - self.value(total - np.diag(steps))
        influence = self._counts().sum() * self.columns @ np.nan_to_num(rise / (2 * steps[:, None]), posinf=0, neginf=0)
        return influence if self.cells is None else influence[self.cells]

    def resample(self, units: Units, resamples: int, generator: np.random.Generator) -> Values:
        """Compute the metric on resamples."""
        if self.cells is not None:
            return self.value(resample_counts(self.cells, units, resamples, generator) @ self.columns)
        if units.clusters is not None:
            return self.value(resample_sums(self.columns, units, resamples, generator))
        sums = resample_sums(np.ascontiguousarray(self.columns[:, :-1]), units, resamples, generator)
        return self.value(np.column_stack([sums, np.full(resamples, units.rows)]))  # whose number does not vary

    def _counts(self) -> Values:
        return (np.ones(len(self.columns)) if self.cells is None else np.bincount(self.cells)).astype(float)


@dataclass(frozen=True)
class RankMetric:
    """The mean over `curves` of both models. Each curve is a function of the rows' weights."""

    curves: tuple[list[Curve], list[Curve]]

    @property
    def observed(self) -> Values:
        """Return the metric on the rows."""
        return self._values(np.ones((1, len(self.curves[0][0].influence))))[0]

    @property
    def influence(self) -> Values:
        """Return the derivative in each row's weight."""
        return np.column_stack([np.mean([curve.influence for curve in of_model], axis=0) for of_model in self.curves])

    def resample(self, units: Units, resamples: int, generator: np.random.Generator) -> Values:
        """Compute the metric on resamples."""
        return np.concatenate([self._values(weights) for weights in draw_row_weights(units, resamples, generator)])

    def _values(self, weights: Values) -> Values:
        return np.column_stack(
            [np.mean([curve.value(weights) for curve in of_model], axis=0) for of_model in self.curves]
        )


def area_under_roc(scores: Values, positive: NDArray[np.bool_], row_weights: Values | None = None) -> Curve:
    """Prepare the area under the ROC curve. It is the share of ordered pairs, ties counting half.

    A pair counts the product of its rows' weights.

    Influences by DeLong, DeLong and Clarke-Pearson (Biometrics 44, 1988).
    """
    hits, misses = np.flatnonzero(positive), np.flatnonzero(~positive)
    misses = misses[np.argsort(scores[misses], kind="stable")]
    lower, not_higher = (np.searchsorted(scores[misses], scores[hits], side=side) for side in ("left", "right"))

    counted = np.ones(len(scores)) if row_weights is None else row_weights

    def area(weights: Values) -> Values:
        weights = weights * counted
        of_hits, below = weights[:, hits], _running(weights[:, misses])
        won = (of_hits * (below[:, lower] + below[:, not_higher])).sum(axis=1) / 2
        return _divide(won, of_hits.sum(axis=1) * below[:, -1])

    ascending, influence = hits[np.argsort(scores[hits], kind="stable")], np.empty(len(scores))
    not_above, below = (np.searchsorted(scores[ascending], scores[misses], side=side) for side in ("right", "left"))
    of_misses, of_hits = (_running(counted[None, rows])[0] for rows in (misses, ascending))
    influence[hits] = (of_misses[lower] + of_misses[not_higher]) / 2 / of_misses[-1]
    influence[misses] = 1 - (of_hits[not_above] + of_hits[below]) / 2 / of_hits[-1]
    for rows in (hits, misses):
        mean = np.average(influence[rows], weights=counted[rows])
        influence[rows] = (influence[rows] - mean) * counted[rows] * len(scores) / counted[rows].sum()
    return Curve(area, influence)


def average_precision(scores: Values, positive: NDArray[np.bool_], row_weights: Values | None = None) -> Curve:
    """Prepare the average precision. It is the precision at each score, weighted by the recall that it adds."""
    order = np.argsort(-scores, kind="stable")
    hits = order[positive[order]]
    called_by, hit_by = (
        np.searchsorted(-scores[rows], -scores[hits], side="right") for rows in (order, hits)
    )  # how many rows, and how many positives, score as high as each positive or higher

    counted = np.ones(len(scores)) if row_weights is None else row_weights

    def area(weights: Values) -> Values:
        weights = weights * counted
        of_hits = weights[:, hits]
        called, hit = _running(weights[:, order])[:, called_by], _running(of_hits)[:, hit_by]
        precision = np.divide(hit, called, out=np.zeros_like(called), where=called > 0)
        return _divide((of_hits * precision).sum(axis=1), of_hits.sum(axis=1))

    called, hit = _running(counted[None, order])[0][called_by], _running(counted[None, hits])[0][hit_by]
    precision = np.divide(hit, called, out=np.zeros_like(called), where=called > 0)
    share = np.divide(counted[hits], called, out=np.zeros_like(called), where=called > 0)
    # A row counts in the precision at its own score and at every lower one: sums over the positives there.
    above = np.searchsorted(-scores[hits], -scores, side="left")
    as_hit, as_called = (_running(terms[None, ::-1])[0, ::-1][above] for terms in (share, precision * share))
    own = np.zeros(len(scores))
    own[hits] = precision - np.average(precision, weights=counted[hits])
    return Curve(area, (own + positive * as_hit - as_called) * counted * len(scores) / counted[hits].sum())


def median_of(values: Values, row_weights: Values | None = None) -> Curve:
    """Prepare the median. It is the mean of the two middle values where their number is even.

    Influences need the density at the median, which is estimated with the bandwidth of Hall and Sheather (1988).
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]

    counted = np.ones(len(values)) if row_weights is None else row_weights

    def median(weights: Values) -> Values:
        found = []
        for reached in np.cumsum((weights * counted)[:, order], axis=1):
            middle = [np.searchsorted(reached, reached[-1] / 2, side=side) for side in ("left", "right")]
            found.append(ordered[middle].mean())
        return np.array(found)

    bandwidth = min(0.97 * len(values) ** (-1 / 3), 0.49)
    method: dict[str, Any] = {} if row_weights is None else {"weights": row_weights, "method": "inverted_cdf"}
    sparsity = np.diff(np.quantile(values, [0.5 - bandwidth, 0.5 + bandwidth], **method))[0] / (2 * bandwidth)
    sides = np.sign(values - median(np.ones((1, len(values))))[0])
    influence = (sides - np.average(sides, weights=counted)) / 2 * sparsity
    return Curve(median, influence * counted * len(values) / counted.sum())


def _running(weights: Values) -> Values:
    """Sum up weights along the rows, from 0 on. Returns shape (resamples, rows + 1)."""
    sums = np.zeros((len(weights), weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def _divide(part: Values, whole: Values) -> Values:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
