"""Fitting one candidate. What this module imports enters the code digest that keys `train`."""

import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from waterflow.config.estimators import build_estimator
from waterflow.config.schema import PipelineConfig
from waterflow.errors import FitError, WaterflowError, first_line
from waterflow.estimators.label_encoded import fit_watching, labelled, rounds_of
from waterflow.training.parallelism import given_threads, limited_threads, useful_threads
from waterflow.training.preprocessing import assign_columns, build_preprocessor


@dataclass(frozen=True)
class Rows:
    """Raw feature columns and the target, row by row; `folds` says in which fold a row is judged, where there are."""

    features: pd.DataFrame
    target: pd.Series
    folds: pd.Series | None = None


@dataclass(frozen=True)
class Division:
    """Rows to learn from and rows to judge by, as an estimator sees them.

    Both went through `preprocessor`, which was fitted on the former alone: an array, a sparse matrix or a frame.
    `judged` is None where nothing is judged or watched. `seconds` is what the preprocessor took.
    """

    preprocessor: Any
    learnt: Any
    learnt_target: pd.Series
    judged: Any
    judged_target: pd.Series | None
    unused_columns: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class Model:
    """A fitted estimator; `rounds` is where boosting stopped, None unless it was watched."""

    estimator: Any
    seconds: float
    rounds: int | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Fitted:
    """A fitted `Pipeline` of preprocessing and estimator, and what its fitting had to say."""

    pipeline: Pipeline
    fit_seconds: float
    warnings: tuple[str, ...]
    unused_columns: tuple[str, ...]


def fit_candidate(
    config: PipelineConfig,
    candidate: str,
    train: Rows,
    validation: Rows | None = None,
    tuned: Mapping[str, Any] | None = None,
    threads: int = 1,
) -> Fitted:
    """Fit one candidate on raw training columns, with the parameters that tuning chose on top of its own.

    Boosting with `early_stopping_rounds` watches the validation rows; without them it takes all its rounds. Raises
    FitError with the estimator's own words when the fit fails, ConfigError when the settings do not fit the columns.
    """
    watched = validation if config.candidates[candidate].early_stopping_rounds else None
    threads = useful_threads(threads, len(train.target))
    with quiet(), limited_threads(threads):
        division = divide(config, candidate, train, watched)
        return assemble(division, fit_model(config, candidate, division, tuned or {}, threads))


def divide(config: PipelineConfig, candidate: str, train: Rows, judged: Rows | None) -> Division:
    """Fit a candidate's preprocessor on the training rows and put all rows through it."""
    blocks = config.preprocessing_of(candidate)
    own = config.candidates[candidate].preprocessing is not None
    place = f"candidates.{candidate}.preprocessing" if own else "preprocessing"
    _, unused = assign_columns(train.features, blocks, place)
    preprocessor = build_preprocessor(train.features, blocks, config.seed, config.task, place)
    started = time.perf_counter()
    with named(candidate, "preprocessing"):
        learnt = preprocessor.fit_transform(train.features, train.target)
        seen = preprocessor.transform(judged.features) if judged else None
    return Division(
        preprocessor=preprocessor,
        learnt=learnt,
        learnt_target=train.target,
        judged=seen,
        judged_target=judged.target if judged else None,
        unused_columns=tuple(unused),
        seconds=time.perf_counter() - started,
    )


def fit_model(
    config: PipelineConfig, candidate: str, division: Division, params: Mapping[str, Any], threads: int
) -> Model:
    """Fit a candidate's estimator on rows that are preprocessed; raises FitError in the estimator's own words.

    Call it inside `quiet`, which tells the warnings of fits in several threads apart.
    """
    chosen = config.candidates[candidate]
    estimator = build_estimator(chosen, config.seed, f"candidates.{candidate}")
    model = labelled(estimator)
    started, _heard.lines = time.perf_counter(), []
    with named(candidate, "fitting"):
        estimator.set_params(**params)
        with given_threads(estimator, threads):
            if chosen.early_stopping_rounds and division.judged_target is not None:
                estimator.set_params(early_stopping_rounds=chosen.early_stopping_rounds)
                fit_watching(model, division.learnt, division.learnt_target, (division.judged, division.judged_target))
            else:
                model.fit(division.learnt, division.learnt_target)
    return Model(model, time.perf_counter() - started, rounds_of(model), tuple(_heard.lines))


def assemble(division: Division, model: Model) -> Fitted:
    """Put a fitted preprocessor and a fitted estimator together; nothing is fitted again."""
    return Fitted(
        pipeline=Pipeline([("preprocess", division.preprocessor), ("model", model.estimator)]),
        fit_seconds=division.seconds + model.seconds,
        warnings=model.warnings,
        unused_columns=division.unused_columns,
    )


_heard = threading.local()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the inner notes of libraries from the caller; that a fit did not converge is kept with its model."""

    def hear(message: Warning | str, *_: Any, **__: Any) -> None:
        getattr(_heard, "lines", []).append(str(message).splitlines()[0])

    with warnings.catch_warnings():  # it changes the whole process, so it stands around threads, never inside one
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        warnings.showwarning = hear
        yield


@contextmanager
def named(candidate: str, doing: str) -> Iterator[None]:
    """Turn whatever an estimator of the user's choice raises into a FitError of one line."""
    try:
        yield
    except WaterflowError:
        raise
    except Exception as error:
        raise FitError(
            f"candidates.{candidate}: {type(error).__name__} while {doing}: {first_line(error)}; "
            "mend its params or drop the candidate"
        ) from error
