"""Plain values as floats and labels. What JSON cannot contain takes the pipeline's own conversion."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from waterflow.data.columns import to_floats
from waterflow.serving.compiled.interface import Matrix

NUMBERS = frozenset((float, int, bool, type(None), np.float64, np.int64))


def read_numbers(columns: Sequence[Sequence[Any]]) -> Matrix:
    """Return numbers and booleans as float64, shape (rows, columns). Null is NaN.

    Raises ValueError for text that is no number.
    """
    if all(type(column) is list for column in columns) and NUMBERS.issuperset(map(type, chain.from_iterable(columns))):
        return np.array(columns, dtype=np.float64).T
    return np.column_stack([_floats(column, is_strict=True) for column in columns])


def read_number_keys(column: Sequence[Any]) -> list[float | None]:
    """Return numbers that stand for categories. Null and text that is no number are None."""
    return [None if value != value else value for value in _floats(column, is_strict=False).tolist()]


def read_labels(column: Sequence[Any]) -> Sequence[str | None]:
    """Return categories as text. Null is None; 3 and 3.0 are equal, as they are in training."""
    if set(map(type, column)) <= {str}:
        return column
    return [value if type(value) is str else label_of(value) for value in column]


def _floats(column: Sequence[Any], *, is_strict: bool) -> np.ndarray[Any, np.dtype[np.float64]]:
    if isinstance(column, np.ndarray) and column.dtype.kind in "biuf":
        return column.astype(np.float64, copy=False)
    if NUMBERS.issuperset(map(type, column)):
        return np.array(column, dtype=np.float64)
    return to_floats(pd.Series(column), errors="raise" if is_strict else "coerce").to_numpy()


def label_of(value: Any) -> str | None:
    """Return a category as text, None for null. The transformer of training has the same rule."""
    if value is None or value is pd.NA or value != value:
        return None
    return np.format_float_positional(value, trim="-") if isinstance(value, float) else str(value)
