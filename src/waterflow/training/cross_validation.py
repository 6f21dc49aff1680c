"""Scores of parameters on rows outside the holdout. These are the validation rows, or each fold in turn."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.estimators import build_estimator
from waterflow.config.schema import PipelineConfig
from waterflow.data.splitting import learning_rows
from waterflow.errors import FitError
from waterflow.estimators.calibrated import unwrap_estimator
from waterflow.records.training import DecisionRule
from waterflow.scoring.metrics import Predicted, headline, predict_rows
from waterflow.scoring.own_metrics import score_predictions
from waterflow.training.decision import apply_decision, choose_decision
from waterflow.training.fitting import (
    FittedEstimator,
    LabelledRows,
    PreprocessedSplit,
    captured_warnings,
    fit_errors,
    fit_estimator,
    preprocess_split,
)
from waterflow.training.parallelism import given_threads, is_single_threaded, limited_threads, useful_threads

Report = Callable[[int, float], None]


@dataclass(frozen=True)
class ParameterScores:
    """What one choice of parameters scored on each split. `scores` are by metric, `rounds` are of boosting.

    `decision` was chosen from the predictions of all splits and is part of the scores. `predictions`, as the estimators
    made them, and `model`, the estimator of a single split, are those of fits in this process only.
    """

    scores: tuple[dict[str, float], ...]
    rounds: tuple[int | None, ...]
    decision: DecisionRule | None = None
    predictions: tuple[Predicted, ...] = ()
    model: FittedEstimator | None = None

    @property
    def means(self) -> dict[str, float]:
        """Return the mean of each metric defined on each split."""
        return {name: statistics.fmean(values) for name, values in self._columns().items()}

    @property
    def spread(self) -> dict[str, float]:
        """Return the standard deviation over the splits (n - 1). Empty for a single split."""
        if len(self.scores) < 2:
            return {}
        return {name: statistics.stdev(values) for name, values in self._columns().items()}

    @property
    def mean_rounds(self) -> int | None:
        """Return the mean number of rounds of early-stopped boosting. It is rounded; None without early stopping."""
        known = [count for count in self.rounds if count is not None]
        return round(statistics.fmean(known)) if known else None

    def _columns(self) -> dict[str, list[float]]:
        defined = [name for name in self.scores[0] if all(name in scores for scores in self.scores)]
        return {name: [scores[name] for scores in self.scores] for name in defined}


def iterate_folds(rows: LabelledRows) -> Iterator[tuple[LabelledRows, LabelledRows]]:
    """Yield training and validation rows of each fold, in order.

    The training rows are those of all other folds; in time, those whose outcome was known before the fold began.
    """
    assert rows.folds is not None
    folds = rows.folds["fold"].to_numpy()
    for number in sorted(set(folds[folds > 0].tolist())):
        train, validation = learning_rows(rows.folds, number), folds == number
        yield (
            LabelledRows(rows.features[train], rows.target[train], weights=_some(rows.weights, train)),
            LabelledRows(
                rows.features[validation],
                rows.target[validation],
                groups=_some(rows.groups, validation),
                weights=_some(rows.weights, validation),
            ),
        )


def _some(values: pd.Series | None, chosen: NDArray[np.bool_]) -> pd.Series | None:
    return None if values is None else values[chosen]


def preprocess_splits(
    config: PipelineConfig, candidate: str, train: LabelledRows, validation: LabelledRows | None
) -> list[PreprocessedSplit]:
    """Preprocess the validation split or, without one, each fold. Once serves all parameters."""
    if validation is not None:
        return [preprocess_split(config, candidate, train, validation)]
    return [preprocess_split(config, candidate, *fold) for fold in iterate_folds(train)]


def score_params(
    config: PipelineConfig,
    candidate: str,
    splits: Sequence[PreprocessedSplit],
    params: Mapping[str, Any],
    *,
    threads: int = 1,
    workers: int = 1,
    report: Report = lambda number, mean: None,
) -> ParameterScores:
    """Fit and score one choice of parameters on each split. Call it inside `captured_warnings`.

    `workers` splits are fitted in parallel, each on `threads`. After each split, `report` is called with the number of
    splits so far and the main metric's mean over them; it may raise to end the fits. Raises FitError when a fit fails
    or the main metric is undefined.
    """

    def fit_and_predict(split: PreprocessedSplit) -> tuple[FittedEstimator, Predicted]:
        fitted = fit_estimator(config, candidate, split, params, threads)
        with given_threads(unwrap_estimator(fitted.estimator), threads):
            rows = (split.validation, split.validation_target, split.validation_weights)
            return fitted, predict(config, candidate, fitted.estimator, *rows)

    models: list[FittedEstimator] = []
    predictions: list[Predicted] = []
    with ThreadPoolExecutor(workers) as pool:
        for model, predicted in (pool.map if workers > 1 else map)(fit_and_predict, splits):
            models.append(model)
            predictions.append(predicted)
            groups = [split.validation_groups for split in splits[: len(predictions)]]
            decision = choose_decision(config, predictions, groups)
            scores = [score(config, candidate, apply_decision(entry, decision)) for entry in predictions]
            report(len(scores), statistics.fmean(entry[config.metrics.main] for entry in scores))
    return ParameterScores(
        scores=tuple(scores),
        rounds=tuple(model.rounds for model in models),
        decision=decision,
        predictions=tuple(predictions),
        model=models[0] if len(models) == 1 else None,
    )


def score_configured(
    config: PipelineConfig, candidate: str, splits: Sequence[PreprocessedSplit], threads: int
) -> ParameterScores:
    """Score a candidate's parameters as configured, on all cores."""
    estimator = build_estimator(config.candidates[candidate], config.seed, f"candidates.{candidate}")
    threads = useful_threads(threads, len(splits[0].train_target))
    workers = min(threads if is_single_threaded(estimator) else 1, len(splits))
    with captured_warnings(), limited_threads(threads):
        return score_params(config, candidate, splits, {}, threads=threads // workers, workers=workers)


def predict(
    config: PipelineConfig, candidate: str, fitted: Any, features: Any, target: Any, weights: pd.Series | None = None
) -> Predicted:
    """Predict rows with a fitted estimator or pipeline. Raises FitError when it cannot."""
    with fit_errors(candidate, "predicting"):
        return predict_rows(fitted, features, target, config.task, weights)


def score(config: PipelineConfig, candidate: str, predicted: Predicted) -> dict[str, float]:
    """Compute all metrics of some predictions. Raises FitError where the main one is undefined."""
    with fit_errors(candidate, "predicting"):
        scores = score_predictions(predicted, config)
    if not math.isfinite(scores.get(config.metrics.main, math.nan)):
        raise FitError(
            f"candidates.{candidate}: metrics.main {config.metrics.main!r} is undefined for it "
            f"(defined: {', '.join(headline(scores))}); "
            "the rows that it is scored on may hold one class only, or the estimator predicts no probabilities: "
            "hold out more rows, choose another main metric or another estimator"
        )
    return scores
