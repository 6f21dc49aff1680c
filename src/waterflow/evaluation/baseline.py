"""What a first model must beat. It is a rule that looks at no feature."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier, DummyRegressor

from waterflow.config.schema import PipelineConfig
from waterflow.evaluation.paired_metrics import cost_of_calls
from waterflow.scoring.metrics import Predicted, find_positive_class, predict_rows


def predict_baseline(rule: str, train_target: pd.Series, target: pd.Series, config: PipelineConfig) -> Predicted:
    """Predict `target` by a rule learnt from training targets.

    Classes: `most_frequent`, `stratified` (labels at random in their shares, which no other rule without features
    beats on macro F1) and `cheapest` (the class that costs least if always predicted), each with the shares of the
    training rows as probabilities. Numbers: `mean`, `median` and `shortest_half`, the middle of the shortest interval
    that holds half of the values, the best constant for the median absolute error (Rousseeuw, JASA 79, 1984).
    """
    values, blank = train_target.to_numpy(), np.zeros((len(train_target), 1))
    model = _classifier(rule, values, config) if config.task == "classification" else _regressor(rule, values)
    predicted = predict_rows(model.fit(blank, values), pd.DataFrame(np.zeros((len(target), 1))), target, config.task)
    if config.task == "regression":
        return predicted
    prior = DummyClassifier(strategy="prior").fit(blank, values)
    chances = prior.predict_proba(np.zeros((len(target), 1)))
    return Predicted(predicted.truth, predicted.prediction, predicted.classes, chances)


def _classifier(rule: str, values: NDArray[Any], config: PipelineConfig) -> BaseEstimator:
    if rule == "cheapest":
        return DummyClassifier(strategy="constant", constant=[_cheapest(values, config)])
    return DummyClassifier(strategy=rule, random_state=config.seed)


def _cheapest(values: NDArray[Any], config: PipelineConfig) -> Any:
    """Return the class that is cheapest to predict always. Its cost is counted on the training rows."""
    assert config.costs is not None  # the configuration has been validated
    classes = pd.unique(values)
    is_positive = values == find_positive_class(classes, config.declared_positive)
    always, never = (
        cost_of_calls(is_positive, np.full(len(values), called), config.costs).mean() for called in (True, False)
    )
    return values[is_positive if always <= never else ~is_positive][0]


def _regressor(rule: str, values: NDArray[Any]) -> BaseEstimator:
    if rule == "shortest_half":
        return DummyRegressor(strategy="constant", constant=shortest_half(values))
    return DummyRegressor(strategy=rule)


def shortest_half(values: NDArray[Any]) -> float:
    """Return the middle of the shortest half. That is the shortest interval that holds half of the values."""
    ordered, half = np.sort(values.astype(float)), len(values) // 2
    start = int(np.argmin(ordered[half:] - ordered[: len(ordered) - half]))
    return float(ordered[start] + ordered[start + half]) / 2
