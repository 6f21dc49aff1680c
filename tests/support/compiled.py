"""Fitted pipelines of every block and estimator, and the columns that a client may send them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from waterflow.config.metrics import Task
from waterflow.config.schema import Block
from waterflow.estimators.label_encoded import label_encoded
from waterflow.records.serving import FeatureColumn
from waterflow.records.training import DecisionRule
from waterflow.training.decision import with_decision
from waterflow.training.preprocessing import build_preprocessor

FEATURES = (
    FeatureColumn(name="level", kind="number"),
    FeatureColumn(name="wide", kind="number"),
    FeatureColumn(name="count", kind="integer"),
    FeatureColumn(name="zone", kind="integer"),
    FeatureColumn(name="tested", kind="boolean"),
    FeatureColumn(name="state", kind="text"),
    FeatureColumn(name="source", kind="text"),
)
STATES = ("NY", "CA", "TX", "ME", "née", "")

finite = st.floats(-1e9, 1e9) | st.floats(-3, 3)
VALUES = {
    "number": st.none() | finite | st.integers(-(10**6), 10**6),
    "integer": st.none() | st.integers(0, 12) | st.integers(-(2**53), 2**53),
    "boolean": st.none() | st.booleans(),
    "text": st.none() | st.sampled_from(STATES) | st.sampled_from(("SW", "GW", "unseen", "1", "nan", "None"))
    | st.text(st.characters(codec="utf-8"), max_size=5),
}  # fmt: skip
COLUMNS = st.integers(1, 6).flatmap(
    lambda rows: st.fixed_dictionaries(
        {feature.name: st.lists(VALUES[feature.kind], min_size=rows, max_size=rows) for feature in FEATURES}
    )
)


def training_rows(rows: int = 300) -> pd.DataFrame:
    """Return rows of every kind of column, with nulls in each but `count`."""
    generator = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "level": generator.normal(size=rows),
            "wide": generator.lognormal(2, 2, size=rows),
            "count": generator.integers(0, 9, size=rows),
            "zone": generator.choice([1.0, 2.0, 3.0, 10.0], size=rows),
            "tested": generator.choice([True, False], size=rows).astype(object),
            "state": generator.choice(STATES, p=(0.4, 0.3, 0.2, 0.07, 0.02, 0.01), size=rows).astype(object),
            "source": generator.choice(["SW", "GW"], size=rows).astype(object),
        }
    )
    for name in frame.columns.drop("count"):
        frame.loc[generator.random(rows) < 0.1, name] = None
    return frame


def targets(frame: pd.DataFrame) -> dict[str, Any]:
    """Return a target of two classes, one of three, and numbers."""
    noise = np.random.default_rng(6).normal(size=len(frame))
    score = frame["level"].fillna(0) + (frame["state"] == "NY") + 0.1 * frame["count"] + noise
    return {
        "two": np.where(score > score.median(), "yes", "no"),
        "three": pd.cut(score, [-np.inf, 0, 1, np.inf], labels=["low", "mid", "high"]).astype(object).to_numpy(),
        "number": 100 + 30 * score.to_numpy(),
        "positive": np.exp(score.to_numpy()),
    }


def fit_preprocessor(blocks: Sequence[Block], target: str = "two") -> Any:
    """Return fitted preprocessing of the training rows."""
    frame = training_rows()
    task: Task = "regression" if target in ("number", "positive") else "classification"
    transformer = build_preprocessor(frame, blocks, seed=1, task=task)
    return transformer.fit(frame, targets(frame)[target])


def fit_pipeline(
    blocks: Sequence[Block], estimator: Any, target: str = "two", rule: DecisionRule | None = None
) -> Pipeline:
    """Return a fitted pipeline as training makes it."""
    frame = training_rows()
    transformer = fit_preprocessor(blocks, target)
    labels = targets(frame)[target]
    model = label_encoded(clone(estimator), labels).fit(transformer.transform(frame), labels)
    return Pipeline([("preprocess", transformer), ("model", with_decision(model, rule))])
