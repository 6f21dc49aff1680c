"""A two-class classifier with calibrated probabilities and a decision threshold.

Models are pickled with this module's code, so it imports nothing of Waterflow.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import FixedThresholdClassifier

from waterflow.estimators.label_encoded import LabelEncodedClassifier

SMALLEST = 1e-12  # of a probability, to keep its log-odds finite


class CalibratedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """An estimator whose probabilities are mapped by constants. No fit changes the constants.

    `positive` is the class that the constants are about. See `calibrate` for `slope`, `intercept` and `knots`.
    """

    def __init__(
        self,
        estimator: Any,
        positive: Any,
        slope: float = 1.0,
        intercept: float = 0.0,
        knots: Sequence[tuple[float, float]] = (),
    ) -> None:
        self.estimator = estimator
        self.positive = positive
        self.slope = slope
        self.intercept = intercept
        self.knots = knots

    def fit(self, features: Any, target: Any, **params: Any) -> Self:
        """Fit the estimator; the calibration stays as it is."""
        self.estimator.fit(features, target, **params)
        return self

    @property
    def classes_(self) -> NDArray[Any]:
        """Return the two classes. They are in the order of the columns of `predict_proba`."""
        return self.estimator.classes_

    def predict(self, features: Any) -> NDArray[Any]:
        """Return the more probable class of each row."""
        return self.classes_[self.predict_proba(features).argmax(axis=1)]

    def predict_proba(self, features: Any) -> NDArray[np.float64]:
        """Return calibrated probabilities, shape (rows, 2)."""
        column = self.classes_.tolist().index(self.positive)
        raw = np.asarray(self.estimator.predict_proba(features), dtype=float)[:, column]
        positive = calibrate(raw, self.slope, self.intercept, self.knots)
        pair = (1 - positive, positive)
        return np.column_stack(pair if column else pair[::-1])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self.estimator, "classes_")


def calibrate(
    probabilities: NDArray[np.float64],
    slope: float = 1.0,
    intercept: float = 0.0,
    knots: Sequence[tuple[float, float]] = (),
) -> NDArray[np.float64]:
    """Map probabilities of the positive class to calibrated ones. Each is in [0, 1].

    Either linearly between `knots`, pairs of a raw and a calibrated probability, or by a line through the log-odds
    (Platt, 1999).
    """
    if len(knots):
        return np.interp(probabilities, *np.asarray(knots, dtype=float).T)
    return expit(intercept + slope * logit(np.clip(probabilities, SMALLEST, 1 - SMALLEST)))


def unwrap_estimator(model: Any) -> Any:
    """Return the configured estimator inside label encoding, calibration and threshold."""
    while isinstance(model, LabelEncodedClassifier | CalibratedClassifier | FixedThresholdClassifier):
        model = model.estimator
    return model
