"""Metrics of the user's own."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from waterflow.config.own_code import load_function
from waterflow.config.schema import OwnMetric, PipelineConfig
from waterflow.errors import ConfigError, first_line
from waterflow.scoring.metrics import Predicted, find_positive_class, score_rows


def score_predictions(predicted: Predicted, config: PipelineConfig) -> dict[str, float]:
    """Compute every defined metric, the user's own too.

    Left out of the latter are those that need probabilities where there are none. Raises ConfigError when a function
    fails, and what `score_rows` raises.
    """
    scores = score_rows(predicted, config.task, config.costs, config.declared_positive)
    for name, own in config.metrics.own.items():
        answers = answers_of(own, predicted, config.declared_positive)
        if answers is not None:
            values = call_own(name, own, predicted.truth, answers, predicted.weights)
            scores[name] = float(values if values.ndim == 0 else np.average(values, weights=predicted.weights))
    return scores


def answers_of(own: OwnMetric, predicted: Predicted, positive: Any = None) -> NDArray[Any] | None:
    """Return what a metric is called with. None where it needs probabilities that the model lacks.

    Probabilities are of the positive class of two, shape (rows,), else of each class, shape (rows, classes).
    """
    if own.needs == "predictions":
        return predicted.prediction
    if predicted.probabilities is None or len(predicted.classes) != 2:
        return predicted.probabilities
    classes = list(predicted.classes)
    return np.asarray(predicted.probabilities)[:, classes.index(find_positive_class(classes, positive))]


def call_own(
    name: str, own: OwnMetric, truth: NDArray[Any], answers: NDArray[Any], weights: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """Call the function. Returns shape () or (rows,)."""
    place = f"metrics.own.{name}"
    function = load_function(own.function, f"{place}.function")
    try:
        answer = function(truth, answers, **({} if weights is None else {"sample_weight": weights}))
        values = np.asarray(answer, dtype=float)
    except Exception as error:
        raise ConfigError(
            f"{place}: {own.function} raised {type(error).__name__}: {first_line(error)}; it is called with the true "
            f"values and {own.needs}; fix it"
        ) from error
    if values.shape not in ((), (len(truth),)):
        raise ConfigError(
            f"{place}: {own.function} returned shape {values.shape}; return a number, or one for each row"
        )
    return values
