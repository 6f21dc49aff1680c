"""Comparison of the fast path with the pipeline."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from waterflow.errors import first_line
from waterflow.records.serving import FeatureColumn, Scores
from waterflow.serving.compiled.interface import NotCompilableError
from waterflow.serving.compiled.pipeline import compile_pipeline
from waterflow.serving.predictors import Columns, PipelinePredictor, Predictor

logger = logging.getLogger(__name__)

EDGE_ROWS = 5  # of the recorded rows, for each kind of edge
UNSEEN = "never seen in training"


@dataclass(frozen=True)
class ChosenPredictor:
    """The predictor that serves. `reason` says why it is not the fast path, empty where it is."""

    predictor: Predictor
    reason: str = ""

    @property
    def is_fast(self) -> bool:
        """Whether the fast path serves."""
        return not self.reason


def choose_predictor(
    pipeline: Any, features: Sequence[FeatureColumn], rows: Columns | None, tolerance: float, threads: int = 1
) -> ChosenPredictor:
    """Return the fast path, if it is proven equal. Else the pipeline itself.

    `rows` are recorded holdout rows by column. They are compared as they are, and some of them with a null or an unseen
    category in each column: classes have to be equal, numbers and probabilities at most `tolerance` apart.
    """
    reference = PipelinePredictor(pipeline, features)
    if not rows or not len(next(iter(rows.values()))):
        return ChosenPredictor(reference, "no recorded holdout rows to compare the fast path with")
    try:
        compiled = compile_pipeline(pipeline, features, threads)
        difference = next(_differences(compiled, reference, features, rows, tolerance), "")
    except NotCompilableError as error:
        return ChosenPredictor(reference, str(error))
    except Exception as error:  # compiled from a model of another release, anything may be missing
        logger.exception("the fast path failed")
        return ChosenPredictor(reference, f"the fast path failed: {type(error).__name__}: {first_line(error)}")
    return ChosenPredictor(reference, difference) if difference else ChosenPredictor(compiled)


def _differences(
    fast: Predictor, reference: Predictor, features: Sequence[FeatureColumn], rows: Columns, tolerance: float
) -> Iterator[str]:
    difference = _compare(fast.predict(rows), reference.predict(rows), tolerance)
    if difference:
        yield f"on recorded holdout rows {difference}"
    edges = dict(edge_rows(features, rows))
    together = {name: [value for edge in edges.values() for value in edge[name]] for name in rows}
    try:
        if not _compare(fast.predict(together), reference.predict(together), tolerance):
            return
    except Exception:  # one of them is refused
        logger.debug("rows with nulls and unseen values are compared one by one")
    for words, edge in edges.items():
        try:
            expected = reference.predict(edge)
        except Exception:  # the pipeline takes no such rows, so none of them is ever answered
            logger.debug("the pipeline takes no rows with %s", words)
            continue
        if difference := _compare(fast.predict(edge), expected, tolerance):
            yield f"on rows with {words} {difference}"


def edge_rows(features: Sequence[FeatureColumn], rows: Columns) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """Yield recorded rows with one column changed. The words say to what: null, or something unseen."""
    some = {feature.name: list(rows[feature.name][:EDGE_ROWS]) for feature in features}
    count = len(next(iter(some.values())))
    for feature in features:
        yield f"a null in {feature.name!r}", some | {feature.name: [None] * count}
        if feature.kind in ("text", "category"):
            yield f"an unseen category in {feature.name!r}", some | {feature.name: [UNSEEN] * count}
        elif feature.kind in ("number", "integer"):
            yield f"an unseen number in {feature.name!r}", some | {feature.name: [-123457] * count}
    yield "nothing but nulls", {feature.name: [None] for feature in features}


def _compare(found: Scores, expected: Scores, tolerance: float) -> str:
    """Return how answers differ. Empty where they are equal."""
    if expected.classes:
        differing = sum(mine != theirs for mine, theirs in zip(found.labels, expected.labels, strict=True))
        if differing or found.classes != expected.classes:
            return f"{differing} of {len(expected.labels)} labels differ"
        pair = (found.probabilities, expected.probabilities)
    else:
        pair = (np.asarray(found.labels, dtype=float), np.asarray(expected.labels, dtype=float))
    if pair[1] is None:
        return ""
    assert pair[0] is not None
    apart = np.abs(pair[0] - pair[1])[~(np.isnan(pair[0]) & np.isnan(pair[1]))]
    largest = float(apart.max(initial=0.0))  # NaN where only one of both is
    return "" if largest <= tolerance else f"answers are up to {largest:.2g} apart, more than {tolerance:g}"


def plain_columns(frame: Any, features: Sequence[FeatureColumn]) -> Mapping[str, list[Any]]:
    """Return a frame's columns as plain values. Null is None."""
    columns = {}
    for feature in features:
        column = frame[feature.name]
        columns[feature.name] = column.astype(object).where(column.notna(), None).tolist()
    return columns
