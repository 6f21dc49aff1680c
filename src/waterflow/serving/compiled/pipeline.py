"""A fitted pipeline as one function of plain columns."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from waterflow.errors import DataError
from waterflow.records.serving import FeatureColumn, Scores
from waterflow.serving.compiled.categories import KNOWN_CATEGORIES, compile_categories
from waterflow.serving.compiled.interface import CompiledModel, Matrix, NotCompilableError, path_of
from waterflow.serving.compiled.models import compile_model, takes_missing
from waterflow.serving.compiled.numbers import compile_numbers

AS_NUMBERS = "waterflow.data.columns.as_numbers"
REASONS = {
    "waterflow.training.transformers.TfidfTerms": "terms of a text (tfidf) have no fast path",
    "waterflow.training.transformers.DateParts": "parts of dates have no fast path",
}


class CompiledBlock(Protocol):
    """A block of preprocessing. `sources` names the raw column of each output."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Return the raw column of each output."""
        ...

    @property
    def categories(self) -> tuple[tuple[str, ...] | None, ...]:
        """Return the categories that codes mean. None for an output of numbers."""
        ...

    def write(self, columns: Mapping[str, Sequence[Any]], features: Matrix) -> None:
        """Write the outputs of rows to their places."""
        ...


@dataclass(frozen=True)
class CompiledPredictor:
    """The fast path of a pipeline. A `Predictor`, safe to call from several threads."""

    blocks: tuple[CompiledBlock, ...]
    model: CompiledModel
    sources: tuple[str, ...]  # the raw column of each feature
    takes_missing: bool

    def predict(self, columns: Mapping[str, Sequence[Any]]) -> Scores:
        """Return the scores of rows. See `Predictor`.

        Raises DataError for a null that the model cannot take, ValueError for text in a column of numbers.
        """
        features = self.transform(columns)
        if not self.takes_missing and not np.isfinite(features).all():
            name = self.sources[int((~np.isfinite(features)).any(axis=0).argmax())]
            raise DataError(f"column {name!r}: the model takes neither null nor infinity here; send a finite value")
        answers, probabilities = self.model.predict(features)
        classes = self.model.classes
        if not classes:
            return Scores(answers.tolist())
        labels = [classes[position] for position in answers.tolist()]
        return Scores(labels, np.asarray(probabilities, dtype=float), classes)

    def transform(self, columns: Mapping[str, Sequence[Any]]) -> Matrix:
        """Return what the blocks make of rows, shape (rows, features). Categories are codes."""
        rows = len(next(iter(columns.values())))
        features = np.empty((rows, len(self.sources)))
        for block in self.blocks:
            block.write(columns, features)
        return features


def compile_pipeline(pipeline: Any, features: Sequence[FeatureColumn], threads: int = 1) -> CompiledPredictor:
    """Compile a fitted pipeline. Blocks and estimators are a closed set.

    On a few rows more threads than one cost more than they gain.

    Raises NotCompilableError, with a reason for people, for anything else.
    """
    if path_of(pipeline) != "sklearn.pipeline.Pipeline" or len(pipeline) != 2:
        raise NotCompilableError("it is no pipeline of preprocessing and a model")
    transformer, model = pipeline[0], pipeline[1]
    if path_of(transformer) != "sklearn.compose._column_transformer.ColumnTransformer":
        raise NotCompilableError("its preprocessing is not made of blocks")
    times = {feature.name for feature in features if feature.kind == "time"}
    blocks = tuple(_compile_blocks(transformer, times))
    if transformer.sparse_output_:
        raise NotCompilableError("its preprocessing makes a sparse matrix")
    sources = tuple(name for block in blocks for name in block.sources)
    categories = [names for block in blocks for names in block.categories]
    return CompiledPredictor(blocks, compile_model(model, categories, threads), sources, takes_missing(model))


def _compile_blocks(transformer: Any, times: set[str]) -> Iterator[CompiledBlock]:
    first = 0
    for name, block, columns in transformer.transformers_:
        if name == "remainder" and isinstance(block, str) and block == "drop":
            continue
        compiled = _compile_block(block, [str(column) for column in columns], times, first)
        first += len(compiled.sources)
        yield compiled


def _compile_block(block: Any, names: list[str], times: set[str], first: int) -> CompiledBlock:
    steps = [step for _, step in block.steps] if path_of(block) == "sklearn.pipeline.Pipeline" else [block]
    for step in steps:
        if reason := REASONS.get(path_of(step)):
            raise NotCompilableError(reason)
    reader, rest = steps[0], steps[1:]
    if path_of(reader) == "sklearn.preprocessing._function_transformer.FunctionTransformer":
        if reader.func is None or f"{reader.func.__module__}.{reader.func.__qualname__}" != AS_NUMBERS:
            raise NotCompilableError(f"column {names[0]!r} reaches the model as it is")
        return compile_numbers(names, rest, first)
    if found := times.intersection(names):
        raise NotCompilableError(f"column {min(found)!r} has times as categories")
    if path_of(reader) == KNOWN_CATEGORIES:
        return compile_categories(names, reader, steps, first)
    if path_of(reader) == "waterflow.training.transformers.CategoryLabels":
        return compile_categories(names, reader, rest, first)
    raise NotCompilableError(f"the transformer {type(reader).__name__} has no fast path")
