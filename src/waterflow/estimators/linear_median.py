"""A linear model of the median.

Models are pickled with this module's code, so it imports nothing of Waterflow.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import SGDRegressor
from sklearn.preprocessing import StandardScaler


class LinearMedianRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A linear model of least absolute error. It is fitted by stochastic gradient descent.

    Each step is as long as `eta0` allows, whatever the unit of the target, so the target is scaled to variance 1 while
    fitting. `alpha` and the other parameters are those of scikit-learn's SGDRegressor.
    """

    def __init__(
        self,
        alpha: float = 0.0001,
        eta0: float = 0.01,
        max_iter: int = 1000,
        tol: float = 1e-3,
        random_state: int | None = None,
    ) -> None:
        self.alpha = alpha
        self.eta0 = eta0
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, features: Any, target: Any, sample_weight: Any = None) -> Self:
        """Fit on features (rows, columns) and a target (rows,)."""
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        descent = SGDRegressor(loss="epsilon_insensitive", epsilon=0.0, average=True, **self.get_params())
        self.regressor_ = TransformedTargetRegressor(descent, transformer=StandardScaler())
        self.regressor_.fit(features, np.asarray(target, dtype=float), **weights)
        return self

    def predict(self, features: Any) -> NDArray[np.float64]:
        """Return the predicted medians, shape (rows,)."""
        return np.asarray(self.regressor_.predict(features), dtype=float)
