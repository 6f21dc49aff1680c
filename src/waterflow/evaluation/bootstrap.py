"""Drawing the holdout again: rows within strata, or whole groups, with replacement.

Nothing here knows a metric. A metric that is a function of sums is resampled by its sums, one that needs the order
of scores by the weight that each row has in a resample (Efron and Tibshirani 1993, chapter 6).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 256  # as many rows as a byte can number
FEW_UNITS = 4096
CHUNK_VALUES = 1 << 17  # 1 MB of weights at a time: what a core keeps near


@dataclass(frozen=True)
class Units:
    """What is drawn: `rows` rows one by one within the strata, or all rows of a group together.

    `strata` and `groups` number each row's stratum or group from 0, shape (rows,); at most one of them is given.
    """

    rows: int
    strata: NDArray[np.intp] | None = None
    groups: NDArray[np.intp] | None = None

    @property
    def count(self) -> int:
        """How many units are drawn in each resample."""
        return self.rows if self.groups is None else int(self.groups.max()) + 1

    @property
    def freedom(self) -> int:
        """How many of them vary freely: one fewer in each stratum."""
        return self.count - (1 if self.strata is None else len(np.unique(self.strata)))

    def members(self) -> list[NDArray[np.intp]]:
        """Give the positions of the units of each stratum."""
        if self.strata is None:
            return [np.arange(self.count)]
        order = np.argsort(self.strata, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self.strata))[:-1])


def resample_sums(
    columns: NDArray[np.float64], units: Units, resamples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Sum columns of shape (rows, k) over each resample: shape (resamples, k).

    Few units or many columns go through a matrix of weights; many units are gathered, two columns at once as the
    parts of a complex number.
    """
    columns = columns.astype(np.float64, copy=False)  # XGBoost's probabilities have 32 bits
    if units.groups is not None:
        columns = sum_by_group(columns, units.groups)
        units = Units(len(columns))
    if units.count <= FEW_UNITS or columns.shape[1] > 4:
        return np.concatenate([weights @ columns for weights in draw_weights(units, resamples, generator)])
    packed = [columns[:, [first, min(first + 1, columns.shape[1] - 1)]] for first in range(0, columns.shape[1], 2)]
    tables: list[NDArray[Any]] = [np.ascontiguousarray(pair).view(np.complex128).ravel() for pair in packed]
    if columns.shape[1] == 1:
        tables = [np.ascontiguousarray(columns[:, 0])]
    sums = np.zeros((resamples, len(tables)), dtype=tables[0].dtype)
    for members in units.members():
        _add_sums([table[members] for table in tables], sums, generator)
    return sums.view(np.float64).reshape(resamples, -1)[:, : columns.shape[1]]


def resample_counts(
    cells: NDArray[np.intp], size: int, units: Units, resamples: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Count rows by cell in each resample: shape (resamples, size); `cells` numbers each row's cell, shape (rows,).

    Rows of one cell are alike, so the counts of a resample are multinomial and no row needs to be drawn.
    """
    if units.groups is not None:
        table = np.zeros((units.count, size))
        np.add.at(table, (units.groups, cells), 1)
        return resample_sums(table, Units(units.count), resamples, generator)
    counts = np.zeros((resamples, size))
    strata = np.zeros(units.rows, dtype=np.intp) if units.strata is None else units.strata
    for stratum in np.unique(strata):
        found = np.bincount(cells[strata == stratum], minlength=size)
        counts += generator.multinomial(found.sum(), found / found.sum(), size=resamples)
    return counts


def draw_weights(units: Units, resamples: int, generator: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Say how often each unit is drawn, resample by resample: chunks of shape (some resamples, units)."""
    members = units.members()
    size = max(1, CHUNK_VALUES // units.count)
    for start in range(0, resamples, size):
        some = min(size, resamples - start)
        weights = np.zeros((some, units.count))
        offsets = np.arange(some)[:, None]
        for within in members:
            drawn = generator.integers(0, len(within), size=(some, len(within)))
            counts = np.bincount((drawn + offsets * len(within)).ravel(), minlength=some * len(within))
            weights[:, within] = counts.reshape(some, -1)
        yield weights


def draw_row_weights(units: Units, resamples: int, generator: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Say how often each row is drawn, resample by resample, with its group where rows have one."""
    for weights in draw_weights(Units(units.count, units.strata), resamples, generator):
        yield weights if units.groups is None else weights[:, units.groups]


def sum_by_group(columns: NDArray[np.float64], groups: NDArray[np.intp]) -> NDArray[np.float64]:
    """Sum columns of shape (rows, k) over the rows of each group: shape (groups, k)."""
    return np.column_stack([np.bincount(groups, weights=column) for column in columns.T])


def _add_sums(tables: list[NDArray[Any]], sums: NDArray[Any], generator: np.random.Generator) -> None:
    """Add each resample's sum of each table, shape (rows,), to `sums`, shape (resamples, tables).

    A row is drawn in two stages: how many rows fall into each block of 256 is multinomial, and which row of the block
    is one random byte. That is as random as drawing numbers of rows, takes an eighth of the random bits, and
    gathers from one small place after the other.
    """
    rows = len(tables[0])
    whole = rows // BLOCK
    starts = np.arange(whole) * BLOCK
    shares = np.append(np.full(whole, BLOCK / rows), (rows - whole * BLOCK) / rows)
    drawn, gathered = np.empty(rows, dtype=np.intp), [np.empty_like(table) for table in tables]
    for resample in range(len(sums)):
        by_block = generator.multinomial(rows, shares)
        inside = rows - by_block[-1]
        places = generator.bit_generator.random_raw(inside // 8 + 1).view(np.uint8)[:inside]
        np.add(np.repeat(starts, by_block[:-1]), places, out=drawn[:inside])
        drawn[inside:] = generator.integers(whole * BLOCK, max(rows, whole * BLOCK + 1), size=by_block[-1])
        for position, (table, taken) in enumerate(zip(tables, gathered, strict=True)):
            sums[resample, position] += np.take(table, drawn, out=taken, mode="clip").sum()
