"""The comparison of the fast path with the pipeline."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from support.compiled import FEATURES, fit_pipeline, training_rows

from waterflow.config.schema import Block, Selector
from waterflow.records.serving import Scores
from waterflow.serving.compiled import equality
from waterflow.serving.compiled.equality import choose_predictor, edge_rows, plain_columns
from waterflow.serving.compiled.pipeline import CompiledPredictor, compile_pipeline
from waterflow.serving.predictors import Columns, PipelinePredictor

BLOCKS = (
    Block(select=Selector(type="numeric"), impute="median", scale="standard"),
    Block(select=Selector(type="categorical"), encode="onehot"),
)
ROWS = plain_columns(training_rows(40), FEATURES)
PIPELINE = fit_pipeline(BLOCKS, LogisticRegression())


class Differing:
    """A fast path that answers differently on some rows."""

    def __init__(self, differs: Any) -> None:
        self._right, self._differs = compile_pipeline(PIPELINE, FEATURES), differs

    def predict(self, columns: Columns) -> Scores:
        """Return scores, shifted where the row is one of them."""
        scores = self._right.predict(columns)
        assert scores.probabilities is not None
        rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
        shift = np.array([[1e-6 * self._differs(row)] for row in rows])
        return replace(scores, probabilities=scores.probabilities + shift)


def test_an_equal_fast_path_serves() -> None:
    """No reason is given, because there is none against it."""
    chosen = choose_predictor(PIPELINE, FEATURES, ROWS, tolerance=1e-9)
    assert (chosen.is_fast, chosen.reason) == (True, "")
    assert isinstance(chosen.predictor, CompiledPredictor)


@pytest.mark.parametrize(
    ("differs", "reason"),
    [
        (lambda row: True, "on recorded holdout rows answers are up to 1e-06 apart, more than 1e-09"),
        (lambda row: row["count"] is None, "a null in 'count'"),
        (lambda row: row["source"] == "never seen in training", "an unseen category in 'source'"),
        (lambda row: np.nan if set(row.values()) == {None} else 0, "nothing but nulls"),
    ],
    ids=["everywhere", "null", "unseen", "NaN"],
)
def test_a_difference_anywhere_leaves_the_pipeline_serving(
    differs: Any, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason says on which rows, and by how much."""
    monkeypatch.setattr(equality, "compile_pipeline", lambda *_: Differing(differs))
    chosen = choose_predictor(PIPELINE, FEATURES, ROWS, tolerance=1e-9)
    assert isinstance(chosen.predictor, PipelinePredictor)
    assert reason in chosen.reason


def test_without_recorded_rows_nothing_is_proven() -> None:
    """So the pipeline serves."""
    assert "no recorded holdout rows" in choose_predictor(PIPELINE, FEATURES, None, 1e-9).reason
    assert "no recorded holdout rows" in choose_predictor(PIPELINE, FEATURES, {"state": []}, 1e-9).reason


def test_what_does_not_compile_says_why() -> None:
    """The page shows it."""
    chosen = choose_predictor(fit_pipeline(BLOCKS, KNeighborsClassifier()), FEATURES, ROWS, 1e-9)
    assert chosen.reason == "the estimator KNeighborsClassifier has no fast path"
    assert chosen.predictor.predict(ROWS).labels


def test_each_column_has_its_edges() -> None:
    """Nulls for all, unseen values for all but booleans, and one row of nulls."""
    words = [words for words, _ in edge_rows(FEATURES, ROWS)]
    assert len(words) == 7 + 6 + 1
    assert len(set(words)) == len(words)
