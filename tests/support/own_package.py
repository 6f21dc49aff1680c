"""A package of a user's own, written into a project's folder `own/`: every place that YAML lets a function stand."""

from pathlib import Path
from typing import Any

from waterflow.config.project import Project

SOURCE = '''
"""Rows of flowers, one an hour since 2020."""

import pandas as pd
from sklearn.datasets import load_iris


def load(start, end, share=1.0):
    data = load_iris(as_frame=True)
    rows = data.data.set_axis(["sepal_length", "sepal_width", "petal_length", "petal_width"], axis=1)
    rows = rows.assign(species=data.target.map(dict(enumerate(data.target_names))), row=range(len(rows)))
    rows = rows.sample(frac=share, random_state=0).sort_index()
    return rows.assign(weight=1.0 + rows["row"] % 3)
'''

FEATURES = '''
"""Features of a flower."""

from {package}.arithmetic import multiply


def add_areas(rows):
    return rows.assign(
        petal_area=multiply(rows["petal_length"], rows["petal_width"]),
        shape=(rows["petal_length"] > 2.5).map({{True: "long", False: "short"}}),
    ).drop(columns="sepal_width")
'''

ARITHMETIC = '''
"""What several modules need."""


def multiply(first, second):
    return first * second
'''

MODELS = '''
"""An estimator and a transformer with scikit-learn's API."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.neighbors import NearestCentroid


class Nearest(ClassifierMixin, BaseEstimator):
    def __init__(self, metric="euclidean"):
        self.metric = metric

    def fit(self, X, y):
        self.model_ = NearestCentroid(metric=self.metric).fit(X, y)
        self.classes_ = self.model_.classes_
        return self

    def predict(self, X):
        return self.model_.predict(X)

    def predict_proba(self, X):
        distances = np.linalg.norm(np.asarray(X)[:, None, :] - self.model_.centroids_[None], axis=2)
        shares = np.exp(-distances)
        return shares / shares.sum(axis=1, keepdims=True)


class Centred(TransformerMixin, BaseEstimator):
    def __init__(self, scale=1.0):
        self.scale = scale

    def fit(self, X, y=None):
        self.mean_ = np.asarray(X).mean(axis=0)
        return self

    def transform(self, X):
        return self.scale * (np.asarray(X) - self.mean_)
'''

METRICS = '''
"""Metrics: one number of all rows, and one for each row."""

import numpy as np


def right_share(truth, answers):
    return float(np.mean(truth == answers))


def surprise(truth, shares):
    return 1.0 - shares.max(axis=1)


def always_setosa(rows):
    return ["setosa"] * len(rows)


def held_out(rows):
    return rows["row"] % 4 == 0
'''

FILES = {
    "__init__": '"""Own code."""\n',
    "source": SOURCE,
    "features": FEATURES,
    "arithmetic": ARITHMETIC,
    "models": MODELS,
    "metrics": METRICS,
}


def write_package(project: Project, package: str) -> Path:
    """Write the package, whose name no other test of the process may use; returns its folder."""
    return write_modules(project.root / "own" / package)


def write_modules(folder: Path) -> Path:
    """Write the package into a folder of its name."""
    folder.mkdir(parents=True)
    for name, text in FILES.items():
        content = text.format(package=folder.name) if name == "features" else text
        (folder / f"{name}.py").write_text(content.lstrip("\n"), "utf-8")
    return folder


def own_pipeline(package: str) -> dict[str, Any]:
    """Return the keys of a pipeline that names the package wherever it can."""
    return {
        "defaults": [{"/strategy": "balanced"}],
        "description": "Own code in every place.",
        "dataset": {"kind": "python", "function": f"{package}.source.load", "params": {"share": 0.9}},
        "target": "species",
        "task": "classification",
        "drop": ["weight"],
        "key": ["row"],
        "features": {"function": f"{package}.features.add_areas"},
        "preprocessing": [
            {"select": {"names": ["shape"]}, "encode": "onehot"},
            {"select": {"type": "numeric"}, "transformer": f"{package}.models.Centred", "params": {"scale": 2.0}},
        ],
        "candidates": {"nearest": {"estimator": f"{package}.models.Nearest"}},
        "split": {"kind": "function", "function": f"{package}.metrics.held_out"},
        "metrics": {
            "main": "right_share",
            "show": ["accuracy", "surprise"],
            "own": {
                "right_share": {"function": f"{package}.metrics.right_share", "greater_is_better": True},
                "surprise": {
                    "function": f"{package}.metrics.surprise",
                    "greater_is_better": False,
                    "needs": "probabilities",
                },
            },
        },
        "promotion": {"baseline": f"{package}.metrics.always_setosa", "resamples": 200, "dependence": {}},
    }
