"""What a first model must beat. It is a rule that looks at no feature."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.dummy import DummyClassifier, DummyRegressor

from waterflow.config.own_code import load_function
from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError, first_line
from waterflow.evaluation.paired_metrics import cost_of_calls
from waterflow.scoring.metrics import Predicted, find_positive_class, predict_rows


def predict_baseline(
    rule: str,
    train_target: pd.Series,
    target: pd.Series,
    config: PipelineConfig,
    weights: pd.Series | None = None,
) -> Predicted:
    """Predict `target` by a rule learnt from training targets.

    Classes: `most_frequent`, `stratified` (labels at random in their shares, which no other rule without features
    beats on macro F1) and `cheapest` (the class that costs least if always predicted), each with the shares of the
    training rows as probabilities. Numbers: `mean`, `median` and `shortest_half`, the middle of the shortest interval
    that holds half of the values, the best constant for the median absolute error (Rousseeuw, JASA 79, 1984).
    `weights` are of the training rows.
    """
    if weights is not None:  # as if each row stood there as often as it counts; rows without weight do not
        kept = (weights > 0).to_numpy()
        train_target, weights = train_target[kept], weights[kept]
    counted = None if weights is None else weights.to_numpy()
    values, blank = train_target.to_numpy(), np.zeros((len(train_target), 1))
    is_class = config.task == "classification"
    model = _classifier(rule, values, config, counted) if is_class else _regressor(rule, values, counted)
    model.fit(blank, values, sample_weight=counted)
    predicted = predict_rows(model, pd.DataFrame(np.zeros((len(target), 1))), target, config.task)
    if config.task == "regression":
        return predicted
    prior = DummyClassifier(strategy="prior").fit(blank, values, sample_weight=counted)
    chances = prior.predict_proba(np.zeros((len(target), 1)))
    return Predicted(predicted.truth, predicted.prediction, predicted.classes, chances)


def predict_own_baseline(path: str, features: pd.DataFrame, target: pd.Series, config: PipelineConfig) -> Predicted:
    """Predict `target` by the user's rule. It is called with the raw features of the held-out rows.

    Raises ConfigError when it raises, or returns no answer for a row.
    """
    function = load_function(path, "promotion.baseline")
    try:
        answers = np.asarray(function(features.copy()))
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise ConfigError(f"promotion.baseline: {path} raised {reason}; it is called with raw features") from error
    if answers.shape != (len(target),) or pd.isna(answers).any():
        raise ConfigError(f"promotion.baseline: {path} has to answer each of {len(target)} rows; fix it")
    if config.task == "regression":
        return Predicted(target.to_numpy(dtype=float), answers.astype(float))
    return Predicted(target.to_numpy(), answers, tuple(pd.unique(np.concatenate([answers, target.to_numpy()]))))


def _classifier(
    rule: str, values: NDArray[Any], config: PipelineConfig, weights: NDArray[np.float64] | None
) -> BaseEstimator:
    if rule == "cheapest":
        return DummyClassifier(strategy="constant", constant=[_cheapest(values, config, weights)])
    return DummyClassifier(strategy=rule, random_state=config.seed)


def _cheapest(values: NDArray[Any], config: PipelineConfig, weights: NDArray[np.float64] | None) -> Any:
    """Return the class that is cheapest to predict always. Its cost is counted on the training rows."""
    assert config.costs is not None  # the configuration has been validated
    classes = pd.unique(values)
    is_positive = values == find_positive_class(classes, config.declared_positive)
    always, never = (
        np.average(cost_of_calls(is_positive, np.full(len(values), called), config.costs), weights=weights)
        for called in (True, False)
    )
    return values[is_positive if always <= never else ~is_positive][0]


def _regressor(rule: str, values: NDArray[Any], weights: NDArray[np.float64] | None) -> BaseEstimator:
    if rule == "shortest_half":
        return DummyRegressor(strategy="constant", constant=shortest_half(values, weights))
    return DummyRegressor(strategy=rule)


def shortest_half(values: NDArray[Any], weights: NDArray[np.float64] | None = None) -> float:
    """Return the middle of the shortest half. That is the shortest interval that holds half of the values.

    With weights it holds more than half of them.
    """
    order = np.argsort(values.astype(float), kind="stable")
    ordered, half = values.astype(float)[order], len(values) // 2
    if weights is None:
        starts, ends = np.arange(len(ordered) - half), np.arange(half, len(ordered))
    else:
        reached = np.cumsum(weights[order])
        before = np.concatenate([[0.0], reached[:-1]])
        ends = np.searchsorted(reached, before + reached[-1] / 2, side="right")
        starts = np.flatnonzero(ends < len(ordered))
        ends = ends[starts]
    narrowest = int(np.argmin(ordered[ends] - ordered[starts]))
    return float(ordered[starts[narrowest]] + ordered[ends[narrowest]]) / 2
