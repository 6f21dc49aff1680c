"""Features that the user's function makes of raw rows.

Models are pickled with this module's code, so it imports nothing of Waterflow and raises ValueError.
"""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

CHECKED_ROWS = 20


class FunctionFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The first step of a model. `function` maps a frame of raw columns to one of features, row by row."""

    def __init__(self, function: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        self.function = function

    def fit(self, X: pd.DataFrame, y: Any = None) -> Self:  # noqa: N803
        """Learn the columns' names. Raises ValueError where the features of a row depend on other rows."""
        self.feature_names_in_ = np.asarray([str(name) for name in X.columns], dtype=object)
        self.n_features_in_ = len(X.columns)
        rows = np.unique(np.linspace(0, len(X) - 1, min(CHECKED_ROWS, len(X))).astype(int))
        alone, among = self.transform(X.iloc[rows]), self.transform(X).iloc[rows]
        for name in among.columns:
            if name not in alone or not _are_equal(alone[name], among[name]):
                raise ValueError(
                    f"its column {name!r} changes with the other rows, so a served row would differ from a training "
                    "row; learn what it needs in a block's transformer"
                )
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:  # noqa: N803
        """Return the features, with the index of the rows."""
        made = self.function(X.copy())
        if not isinstance(made, pd.DataFrame) or len(made) != len(X):
            found = f"{len(made)} rows" if isinstance(made, pd.DataFrame) else type(made).__name__
            raise ValueError(f"it returned {found} for {len(X)} rows; return a frame with one row for each")
        if not made.columns.is_unique:
            raise ValueError(f"it returned column {made.columns[made.columns.duplicated()][0]!r} twice")
        return made.set_axis([str(name) for name in made.columns], axis=1).set_axis(X.index, axis=0)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_names_in_")


def _are_equal(first: pd.Series, second: pd.Series) -> bool:
    """Return whether values are equal, of numbers up to rounding."""
    if all(pd.api.types.is_numeric_dtype(column) for column in (first, second)):
        one, other = (column.to_numpy(dtype=float, na_value=np.nan) for column in (first, second))
        return bool(np.allclose(one, other, rtol=1e-9, atol=1e-12, equal_nan=True))
    return bool(
        first.astype(object).where(first.notna(), None).tolist()
        == second.astype(object).where(second.notna(), None).tolist()
    )
