"""Resamples of the holdout, drawn with replacement. Rows are drawn, rows within strata, or whole clusters.

A metric that is a function of sums is resampled by its sums, one that needs the order of scores by the weight of each
row in a resample (Efron and Tibshirani 1993, chapter 6).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Codes = NDArray[np.intp]
CHUNK_VALUES = 1 << 17  # 1 MB of weights at a time, which fits into a core's cache


@dataclass(frozen=True)
class Units:
    """What a resample draws. It is rows, within `strata` where given, or all rows of a cluster together.

    `strata` and `clusters` number each row's stratum or cluster from 0, shape (rows,); at most one of them is given.
    """

    rows: int
    strata: Codes | None = None
    clusters: Codes | None = None

    @property
    def count(self) -> int:
        """Return how many units a resample draws."""
        return self.rows if self.clusters is None else int(self.clusters.max()) + 1

    def members(self) -> list[Codes]:
        """Return the positions of the units of each stratum."""
        if self.strata is None:
            return [np.arange(self.count)]
        order = np.argsort(self.strata, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.strata))[:-1])


def resample_sums(columns: Values, units: Units, resamples: int, generator: np.random.Generator) -> Values:
    """Sum columns over each resample. The shape goes from (rows, k) to (resamples, k)."""
    if units.clusters is not None:
        columns, units = sum_by_cluster(columns, units.clusters), Units(units.count)
    return np.concatenate([weights @ columns for weights in draw_weights(units, resamples, generator)])


def resample_counts(cells: Codes, units: Units, resamples: int, generator: np.random.Generator) -> Values:
    """Count rows by cell in each resample. Returns shape (resamples, cells); `cells` numbers each row's cell.

    Rows of one cell are alike, so without clusters the counts are multinomial and no row needs to be drawn.
    """
    size = int(cells.max()) + 1
    if units.clusters is not None:
        table = np.zeros((units.count, size))
        np.add.at(table, (units.clusters, cells), 1)
        return resample_sums(table, Units(units.count), resamples, generator)
    counts = np.zeros((resamples, size))
    for members in units.members():
        observed = np.bincount(cells[members], minlength=size)
        counts += generator.multinomial(len(members), observed / len(members), size=resamples)
    return counts


def draw_weights(units: Units, resamples: int, generator: np.random.Generator) -> Iterator[Values]:
    """Yield how often each unit is drawn. Chunks have the shape (some resamples, units); the next one overwrites it."""
    members = units.members()
    size = min(resamples, max(1, CHUNK_VALUES // units.rows))
    chunk, starts = np.empty((size, units.count)), np.arange(size)[:, None] * units.count
    for start in range(0, resamples, size):
        weights = chunk[: resamples - start]
        weights.fill(0)
        for within in members:
            drawn = generator.integers(0, len(within), size=(len(weights), len(within)))
            if len(members) > 1:
                drawn = within[drawn]
            if len(weights) > 1:
                drawn += starts[: len(weights)]
            np.add.at(weights.reshape(-1), drawn.ravel(), 1.0)  # faster than to count and convert
        yield weights


def draw_row_weights(units: Units, resamples: int, generator: np.random.Generator) -> Iterator[Values]:
    """Yield how often each row is drawn. Chunks have the shape (some resamples, rows)."""
    for weights in draw_weights(units, resamples, generator):
        yield weights if units.clusters is None else weights[:, units.clusters]


def sum_by_cluster(columns: Values, clusters: Codes) -> Values:
    """Sum columns over the rows of each cluster. The shape goes from (rows, k) to (clusters, k)."""
    return np.column_stack([np.bincount(clusters, weights=column) for column in columns.T])
