"""The user's metrics of two models on the same rows."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from waterflow.evaluation.bootstrap import Codes, Units, Values, draw_row_weights

MOST_ROWS = 20_000


@dataclass(frozen=True)
class CalledMetric:
    """A function that is known by its values alone. `value` maps positions of rows to both models' values, shape (2,).

    The influence of a row is the infinitesimal jackknife's, from leaving the row out (Efron, The Jackknife, the
    Bootstrap and Other Resampling Plans, 1982).
    """

    rows: int
    value: Callable[[Codes], Values]

    @property
    def observed(self) -> Values:
        """Return the metric on the rows."""
        return self.value(np.arange(self.rows))

    @property
    def influence(self) -> Values:
        """Return how much each row moves the metric. The shape is (rows, 2); it takes a call for each row."""
        everything = np.arange(self.rows)
        without = np.stack([self.value(np.delete(everything, row)) for row in everything])
        moved = (self.rows - 1) * (without.mean(axis=0) - without)
        return np.nan_to_num(moved)

    def resample(self, units: Units, resamples: int, generator: np.random.Generator) -> Values:
        """Compute the metric on resamples. A row that is drawn twice stands there twice."""
        everything, values = np.arange(self.rows), []
        for weights in draw_row_weights(units, resamples, generator):
            values += [self.value(np.repeat(everything, counts.astype(int))) for counts in weights]
        return np.stack(values)
