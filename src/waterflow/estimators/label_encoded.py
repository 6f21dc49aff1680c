"""A classifier for estimators that require integer class labels.

Models are pickled with this module's code, so it imports nothing of Waterflow.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_float_dtype
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.utils.metaestimators import available_if


class LabelEncodedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A classifier fitted on class numbers. It predicts class names.

    `classes_` holds the names in sorted order, the order of the columns of `predict_proba`.
    """

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, features: Any, target: Any, eval_set: Any = None, **params: Any) -> Self:
        """Fit on class names. Rows of `eval_set` whose class is not in `target` are dropped."""
        self.classes_, numbers = np.unique(np.asarray(target), return_inverse=True)
        if eval_set is not None:
            if "sample_weight_eval_set" in params:
                pairs = zip(params["sample_weight_eval_set"], eval_set, strict=True)
                params["sample_weight_eval_set"] = [
                    weights[np.isin(np.asarray(names), self.classes_)] for weights, (_, names) in pairs
                ]
            params["eval_set"] = [self._encode(*rows) for rows in eval_set]
        self.estimator.fit(features, numbers, **params)
        return self

    def predict(self, features: Any) -> NDArray[Any]:
        """Return the name of each row's most probable class."""
        return self.classes_[np.asarray(self.estimator.predict(features)).astype(int)]

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, features: Any) -> NDArray[np.float64]:
        """Return the probability of each class, shape (rows, classes)."""
        return self.estimator.predict_proba(features)

    @property
    def decides_by_probability(self) -> bool:
        """Whether the label is always the most probable class."""
        return _is_of_xgboost(self.estimator)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "classes_")

    def _encode(self, features: Any, target: Any) -> tuple[Any, NDArray[np.intp]]:
        names = np.asarray(target)
        known = np.isin(names, self.classes_)
        if not known.all():
            features = features.loc[known] if isinstance(features, pd.DataFrame) else features[known]
        return features, np.searchsorted(self.classes_, names[known])


def label_encoded(estimator: Any, target: pd.Series) -> Any:
    """Wrap a classifier that would refuse a target's labels. Any other estimator is returned unchanged.

    XGBoost requires integers from 0, and scikit-learn takes floats such as 0.5 and 1.0 for a quantity.
    """
    if is_classifier(estimator) and (_is_of_xgboost(estimator) or has_float_labels(target)):
        return LabelEncodedClassifier(estimator)
    return estimator


def has_float_labels(target: pd.Series) -> bool:
    """Return whether labels are stored as floats."""
    return is_float_dtype(target)


def _is_of_xgboost(estimator: Any) -> bool:
    return type(estimator).__module__.partition(".")[0] == "xgboost"
