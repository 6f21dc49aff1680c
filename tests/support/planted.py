"""Models whose predictions a test plants: they are logged, registered and loaded like any other, and replay a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from waterflow.records.data import Prepared
from waterflow.records.training import FitRows, Trained
from waterflow.resources import Resources
from waterflow.tracking.registry import CHAMPION


class Replay(BaseEstimator):
    """Predict the number that stands in the `.npy` file at `path`, at the position that column `row` names."""

    def __init__(self, path: str, classes: tuple[Any, ...] | None = None) -> None:
        self.path = path
        self.classes = classes

    @property
    def classes_(self) -> np.ndarray:
        """Name the classes, as scikit-learn's classifiers do."""
        return np.asarray(self.classes)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Name the one column that is looked at."""
        return np.array(["row"], dtype=object)

    def fit(self, features: pd.DataFrame, target: Any = None) -> "Replay":
        """Learn nothing: a pipeline asks for an estimator that can be fitted."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Look up each row."""
        return np.asarray(np.load(self.path)[features["row"].to_numpy()])


class ReplayScores(Replay):
    """Replay probabilities of the second of two classes; the label is the likelier class."""

    def predict_proba(self, features: pd.DataFrame) -> np.ndarray:
        """Look up each row."""
        positive = super().predict(features)
        return np.column_stack([1 - positive, positive])

    def predict(self, features: pd.DataFrame) -> np.ndarray:
        """Return the likelier class of each row."""
        return self.classes_[(super().predict(features) > 0.5).astype(int)]


def plant(path: Path, predictions: Any) -> str:
    """Write what a `Replay` of this path answers from now on."""
    np.save(path, np.asarray(predictions))
    return str(path)


def log_model(model: Any, prepared: Prepared, resources: Resources, example: pd.DataFrame, name: str = "nb") -> Trained:
    """Log a model into the run of `prepared` as its candidate `name`."""
    logged = resources.models.log_model(
        Pipeline([("model", model)]),
        experiment_id=prepared.experiment_id,
        run_id=prepared.parent_run_id,
        name=name,
        example=example,
        requirements=["scikit-learn"],
        pipeline_name=prepared.pipeline,
        tags={},
    )
    return Trained(
        candidate=name,
        action_key=logged.model_id,
        run_id=prepared.parent_run_id,
        model_id=logged.model_id,
        model_digest=logged.files_digest,
        scored_on="validation",
        fitted_on=FitRows(parts=("train", "validation")),  # so that nothing is fitted in its place
        metrics=dict.fromkeys(("accuracy", "f1_macro", "rmse", "log_loss", "roc_auc", "mae"), 0.5),
        fit_seconds=0.1,
    )


def make_champion(trained: Trained, prepared: Prepared, resources: Resources, **tags: str) -> int:
    """Register a model as a version with the lineage that `register` gives, and call it champion."""
    lineage = {"waterflow.model_id": trained.model_id, "waterflow.parent_run_id": prepared.parent_run_id}
    version = resources.registry.register(prepared.pipeline, trained.model_id, trained.action_key, "", lineage | tags)
    resources.registry.set_alias(prepared.pipeline, CHAMPION, version)
    return version
