"""Fitting one candidate. What this module imports enters the code digest that keys `train`."""

import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from waterflow.config.estimators import build_estimator, needs_dense_input
from waterflow.config.schema import PipelineConfig
from waterflow.data.block_columns import assign_columns
from waterflow.data.own_features import build_own_features, make_features
from waterflow.errors import FitError, WaterflowError, first_line
from waterflow.estimators.label_encoded import has_float_labels, label_encoded
from waterflow.records.training import DecisionRule, FitChoices
from waterflow.training.decision import with_decision
from waterflow.training.parallelism import given_threads, limited_threads, useful_threads
from waterflow.training.preprocessing import build_preprocessor

NO_CHOICES = FitChoices()


@dataclass(frozen=True)
class LabelledRows:
    """Raw feature columns and the target, row by row.

    `folds` has the split's columns of folds, `groups` each row's group, `weights` what it counts.
    """

    features: pd.DataFrame
    target: pd.Series
    folds: pd.DataFrame | None = None
    groups: pd.Series | None = None
    weights: pd.Series | None = None


@dataclass(frozen=True)
class PreprocessedSplit:
    """Training and validation rows as an estimator sees them. They are arrays, sparse matrices or frames.

    `preprocessor` was fitted on the training rows alone and transformed both. Without validation rows, `validation`
    and `validation_target` are None. `seconds` is the time that preprocessing took.
    """

    preprocessor: Any
    train: Any
    train_target: pd.Series
    validation: Any
    validation_target: pd.Series | None
    validation_groups: pd.Series | None
    unused_columns: tuple[str, ...]
    seconds: float
    train_weights: pd.Series | None = None
    validation_weights: pd.Series | None = None


@dataclass(frozen=True)
class FittedEstimator:
    """A fitted estimator. `rounds` counts those of early-stopped boosting, else it is None."""

    estimator: Any
    seconds: float
    rounds: int | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class FittedPipeline:
    """A fitted `Pipeline` and facts of its fit. Its steps are `preprocess` and `model`."""

    pipeline: Pipeline
    fit_seconds: float
    rounds: int | None
    warnings: tuple[str, ...]
    unused_columns: tuple[str, ...]

    def with_decision(self, decision: DecisionRule | None) -> "FittedPipeline":
        """Return the same fit, deciding by a rule."""
        preprocess, (name, model) = self.pipeline.steps
        return replace(self, pipeline=Pipeline([preprocess, (name, with_decision(model, decision))]))


def fit_candidate(
    config: PipelineConfig,
    candidate: str,
    train: LabelledRows,
    validation: LabelledRows | None = None,
    choices: FitChoices = NO_CHOICES,
    threads: int = 1,
) -> FittedPipeline:
    """Fit a candidate on raw columns. Selection made its `choices`.

    With validation rows, boosting with `early_stopping_rounds` is stopped by them; without, it takes `choices.rounds`,
    else all its rounds. To fit a winner again on more rows, pass its choices and no validation rows. Raises FitError in
    the estimator's words when the fit fails, ConfigError when the settings do not fit the columns.
    """
    watched = validation if config.candidates[candidate].early_stopping_rounds else None
    params = choices.params if watched else choices.params_with_rounds
    threads = useful_threads(threads, len(train.target))
    with captured_warnings(), limited_threads(threads):
        split = preprocess_split(config, candidate, train, watched)
        fitted = fit_estimator(config, candidate, split, params, threads)
    return assemble_pipeline(split, fitted).with_decision(choices.decision)


def preprocess_split(
    config: PipelineConfig, candidate: str, train: LabelledRows, validation: LabelledRows | None
) -> PreprocessedSplit:
    """Fit a candidate's preprocessor and transform all rows. It is fitted on the training rows."""
    blocks, place = config.preprocessing_of(candidate), config.preprocessing_place(candidate)
    own, features = build_own_features(config), make_features(train.features, config)
    _, unused = assign_columns(features, blocks, place)
    dense = needs_dense_input(build_estimator(config.candidates[candidate], config.seed, f"candidates.{candidate}"))
    preprocessor = build_preprocessor(features, blocks, config.seed, config.task, place, dense)
    if own is not None:
        preprocessor = Pipeline([("features", own), ("blocks", preprocessor)])
    started = time.perf_counter()
    with fit_errors(candidate, "preprocessing"):
        transformed = preprocessor.fit_transform(train.features, _target_to_encode(train.target, config))
        watched = preprocessor.transform(validation.features) if validation else None
    return PreprocessedSplit(
        preprocessor=preprocessor,
        train=transformed,
        train_target=train.target,
        validation=watched,
        validation_target=validation.target if validation else None,
        validation_groups=validation.groups if validation else None,
        unused_columns=tuple(unused),
        seconds=time.perf_counter() - started,
        train_weights=train.weights,
        validation_weights=validation.weights if validation else None,
    )


def fit_estimator(
    config: PipelineConfig, candidate: str, split: PreprocessedSplit, params: Mapping[str, Any], threads: int
) -> FittedEstimator:
    """Fit a candidate's estimator on preprocessed rows. Raises FitError in the estimator's words.

    Call it inside `captured_warnings`, which keeps the warnings of fits in several threads apart.
    """
    chosen = config.candidates[candidate]
    estimator = build_estimator(chosen, config.seed, f"candidates.{candidate}")
    model = label_encoded(estimator, split.train_target)
    started, _captured.lines = time.perf_counter(), []
    with fit_errors(candidate, "fitting"):
        estimator.set_params(**params)
        with given_threads(estimator, threads):
            model.fit(split.train, split.train_target, **_fit_arguments(estimator, split, chosen.early_stopping_rounds))
    return FittedEstimator(model, time.perf_counter() - started, _count_rounds(estimator), tuple(_captured.lines))


def _fit_arguments(estimator: Any, split: PreprocessedSplit, early_stopping_rounds: int | None) -> dict[str, Any]:
    """Return the arguments of `fit` beside rows. These are weights, and the validation rows that end boosting."""
    weights = {} if split.train_weights is None else {"sample_weight": split.train_weights.to_numpy()}
    if not early_stopping_rounds or split.validation_target is None:
        return weights
    estimator.set_params(early_stopping_rounds=early_stopping_rounds)
    watched: dict[str, Any] = {"eval_set": [(split.validation, split.validation_target)], "verbose": False}
    if split.validation_weights is not None:
        watched["sample_weight_eval_set"] = [split.validation_weights.to_numpy()]
    return weights | watched


def _target_to_encode(target: pd.Series, config: PipelineConfig) -> Any:
    """Return the target as preprocessing takes it. Target encoding would take classes such as 0.5 for a quantity."""
    is_encoded = config.task == "classification" and has_float_labels(target)
    return pd.factorize(target, sort=True)[0] if is_encoded else target


def assemble_pipeline(split: PreprocessedSplit, fitted: FittedEstimator) -> FittedPipeline:
    """Combine a fitted preprocessor and a fitted estimator."""
    return FittedPipeline(
        pipeline=Pipeline([("preprocess", split.preprocessor), ("model", fitted.estimator)]),
        fit_seconds=split.seconds + fitted.seconds,
        rounds=fitted.rounds,
        warnings=fitted.warnings,
        unused_columns=split.unused_columns,
    )


def _count_rounds(estimator: Any) -> int | None:
    """Return the rounds up to the best. None without early stopping."""
    best = getattr(estimator, "best_iteration", None)
    return None if best is None or getattr(estimator, "early_stopping_rounds", None) is None else int(best) + 1


_captured = threading.local()


@contextmanager
def captured_warnings() -> Iterator[None]:
    """Silence warnings of libraries. Convergence warnings are kept with their fit."""

    def capture(message: Warning | str, *_: Any, **__: Any) -> None:
        getattr(_captured, "lines", []).append(str(message).splitlines()[0])

    with warnings.catch_warnings():  # it changes the whole process, so it stands around threads, never inside one
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        warnings.showwarning = capture
        yield


@contextmanager
def fit_errors(candidate: str, doing: str) -> Iterator[None]:
    """Raise any error of an estimator as one-line FitError."""
    try:
        yield
    except WaterflowError:
        raise
    except Exception as error:
        raise FitError(
            f"candidates.{candidate}: {type(error).__name__} while {doing}: {first_line(error)}; "
            "fix its params or drop the candidate"
        ) from error
