"""Boosting that ends where the validation rows gain no more, and classes by their own names.

This module is pickled with the models that use it, so it may import nothing of ours.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier


class LabelledClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier that learns classes as numbers from 0, as XGBoost wants them, and answers with their names.

    `classes_` holds the names in sorted order, the order of the columns of `predict_proba`.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, features: Any, target: Any, watched: tuple[Any, Any] | None = None) -> "LabelledClassifier":
        """Fit on names of classes; `watched` are the rows (features, target) that decide when to stop."""
        self.classes_, numbers = np.unique(np.asarray(target), return_inverse=True)
        if watched is None:
            self.estimator.fit(features, numbers)
        else:
            seen = np.isin(np.asarray(watched[1]), self.classes_)  # a class that training lacks has no number
            known = watched if seen.all() else (_take(watched[0], seen), np.asarray(watched[1])[seen])
            positions = np.searchsorted(self.classes_, np.asarray(known[1]))
            self.estimator.fit(features, numbers, eval_set=[(known[0], positions)], verbose=False)
        return self

    def predict(self, features: Any) -> NDArray[Any]:
        """Give the name of the likeliest class of each row."""
        return self.classes_[np.asarray(self.estimator.predict(features)).astype(int)]

    def predict_proba(self, features: Any) -> NDArray[np.float64]:
        """Give the probability of each class, shape (rows, classes)."""
        return self.estimator.predict_proba(features)

    @property
    def feature_importances_(self) -> NDArray[np.float64]:
        """The importances that the estimator has, one for each column that it saw."""
        return self.estimator.feature_importances_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")


def labelled(estimator: Any) -> Any:
    """Wrap a classifier that takes numbers for classes; give any other estimator back as it is."""
    if type(estimator).__module__.partition(".")[0] == "xgboost" and is_classifier(estimator):
        return LabelledClassifier(estimator)
    return estimator


def bare(model: Any) -> Any:
    """Give the estimator behind a wrapper."""
    return model.estimator if isinstance(model, LabelledClassifier) else model


def fit_watching(model: Any, features: Any, target: Any, watched: tuple[Any, Any]) -> None:
    """Fit an estimator that has `early_stopping_rounds` while it watches the rows (features, target) to stop by."""
    if isinstance(model, LabelledClassifier):
        model.fit(features, target, watched)
    else:
        model.fit(features, target, eval_set=[watched], verbose=False)


def rounds_of(model: Any) -> int | None:
    """Count the rounds of boosting up to the best one; None where nothing was stopped early."""
    estimator = bare(model)
    if getattr(estimator, "early_stopping_rounds", None) is None:
        return None
    best = getattr(estimator, "best_iteration", None)
    return None if best is None else int(best) + 1


def _take(features: Any, chosen: NDArray[np.bool_]) -> Any:
    return features[chosen] if not isinstance(features, pd.DataFrame) else features.loc[chosen]
