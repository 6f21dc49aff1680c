"""Fitting one candidate. What this module imports enters the code digest that keys `train`."""

import time
import warnings
from dataclasses import dataclass

import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from waterflow.config.estimators import build_estimator
from waterflow.config.schema import PipelineConfig
from waterflow.errors import FitError, WaterflowError
from waterflow.modeling.preprocessing import assign_columns, build_preprocessor


@dataclass(frozen=True)
class Fitted:
    """A fitted `Pipeline` of preprocessing and estimator, and what its fitting had to say."""

    pipeline: Pipeline
    fit_seconds: float
    warnings: tuple[str, ...]
    unused_columns: tuple[str, ...]


def fit_candidate(config: PipelineConfig, candidate: str, features: pd.DataFrame, target: pd.Series) -> Fitted:
    """Fit one candidate on raw training columns.

    `features` has the raw columns, `target` the labels or numbers, row by row. Raises FitError with the
    estimator's own words when the fit fails, ConfigError when the settings do not fit the columns.
    """
    place = f"candidates.{candidate}"
    _, unused = assign_columns(features, config.preprocessing)
    pipeline = Pipeline(
        [
            ("preprocess", build_preprocessor(features, config.preprocessing)),
            ("model", build_estimator(config.candidates[candidate], config.seed, place)),
        ]
    )
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            pipeline.fit(features, target)
        except WaterflowError:
            raise
        except Exception as error:  # an estimator of the user's choice may raise anything
            reason = (str(error).strip().splitlines() or [""])[0]
            raise FitError(
                f"{place}: {type(error).__name__} while fitting: {reason}; mend its params or drop the candidate"
            ) from error
    return Fitted(
        pipeline=pipeline,
        fit_seconds=time.perf_counter() - started,
        warnings=tuple(str(entry.message).splitlines()[0] for entry in caught),
        unused_columns=tuple(unused),
    )
