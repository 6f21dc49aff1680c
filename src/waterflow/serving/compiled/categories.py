"""Blocks of categories, as one table per column.

A table leads from a value to what the block makes of it. It is filled by the fitted steps themselves: each known
category, an unseen one and a null go through them once, when the pipeline is compiled.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.serving.compiled.interface import Matrix, NotCompilableError, path_of
from waterflow.serving.compiled.numbers import CLIPPER, IMPUTER, indicated_columns
from waterflow.serving.compiled.scaling import compile_scale
from waterflow.serving.compiled.values import label_of, read_labels, read_number_keys

KNOWN_CATEGORIES = "waterflow.training.transformers.KnownCategories"
ONE_HOT = "sklearn.preprocessing._encoders.OneHotEncoder"
ORDINAL = "sklearn.preprocessing._encoders.OrdinalEncoder"
TARGET = "sklearn.preprocessing._target_encoder.TargetEncoder"
ENCODERS = (ONE_HOT, ORDINAL, TARGET, KNOWN_CATEGORIES)


@dataclass(frozen=True)
class CategoryColumn:
    """A column and its table. Row `positions[value]` of `table` has the outputs, which go to `places`."""

    name: str
    is_number: bool
    bounds: tuple[float, float] | None
    positions: dict[Hashable, int]
    unseen: int
    table: Matrix
    places: slice | NDArray[np.intp]

    def write(self, values: Sequence[Any], features: Matrix) -> None:
        """Write the outputs of rows to their places."""
        find, unseen = self.positions.get, self.unseen
        keys = read_labels(values) if not self.is_number else self._clipped(read_number_keys(values))
        features[:, self.places] = self.table[[find(key, unseen) for key in keys]]

    def _clipped(self, keys: list[float | None]) -> list[float | None]:
        if self.bounds is None:
            return keys
        lower, upper = self.bounds
        return [None if key is None else min(max(key, lower), upper) for key in keys]


@dataclass(frozen=True)
class CategoryBlock:
    """Columns of categories. `sources` names the raw column of each output, `categories` those that its codes mean."""

    columns: tuple[CategoryColumn, ...]
    sources: tuple[str, ...]
    categories: tuple[tuple[str, ...] | None, ...]

    def write(self, columns: Mapping[str, Sequence[Any]], features: Matrix) -> None:
        """Write the outputs of rows to their places."""
        for column in self.columns:
            column.write(columns[column.name], features)


def compile_categories(names: Sequence[str], reader: Any, steps: Sequence[Any], first: int) -> CategoryBlock:
    """Compile the steps after the one that reads labels. `reader` knows which columns are numbers.

    `first` is the block's first output. Raises NotCompilableError for any other step, or where none encodes.
    """
    clipper, steps = (steps[0], steps[1:]) if steps and path_of(steps[0]) == CLIPPER else (None, steps)
    encoder = next((step for step in steps if path_of(step) in ENCODERS), None)
    if encoder is None:
        raise NotCompilableError(f"text of column {names[0]!r} reaches the model as it is")
    _check_steps(steps, encoder)
    imputer = next((step for step in steps if path_of(step) == IMPUTER), None)
    known, widths = _known_values(encoder), _widths(encoder)
    starts = np.cumsum([0, *widths])
    indicators = {column: len(names) + place for place, column in enumerate(_indicated(imputer))}
    sources = [names[column] for column in (*range(len(names)), *indicators)]
    columns = []
    for column, name in enumerate(names):
        inputs = [column, *([indicators[column]] if column in indicators else [])]
        places = np.concatenate([np.arange(starts[entry], starts[entry + 1]) for entry in inputs])
        table = _run(steps, _probe(column, known, names, reader))
        keys: list[Hashable] = [*known[column], _unseen(known[column]), None]
        columns.append(
            CategoryColumn(
                name=name,
                is_number=bool(reader.numeric_[column]),
                bounds=None if clipper is None else (float(clipper.lower_[column]), float(clipper.upper_[column])),
                positions={key: position for position, key in enumerate(keys) if position != len(known[column])},
                unseen=len(known[column]),
                table=np.ascontiguousarray(table[:, places]),
                places=_as_slice(places + first),
            )
        )
    outputs = tuple(name for name, width in zip(sources, widths, strict=True) for _ in range(width))
    if path_of(encoder) != KNOWN_CATEGORIES:
        return CategoryBlock(tuple(columns), outputs, (None,) * len(outputs))
    return CategoryBlock(tuple(columns), outputs, tuple(tuple(map(str, map(label_of, entry))) for entry in known))


def _check_steps(steps: Iterable[Any], encoder: Any) -> None:
    for step in steps:
        if step is not encoder and path_of(step) != IMPUTER:
            compile_scale(step)  # raises for what is no scaler


def _indicated(imputer: Any) -> list[int]:
    return [] if imputer is None else indicated_columns(imputer)


def _known_values(encoder: Any) -> list[list[Hashable]]:
    """Return the categories of each column. Null is left out, it has a place of its own."""
    return [[value for value in np.asarray(entry).tolist() if value == value] for entry in encoder.categories_]


def _widths(encoder: Any) -> list[int]:
    """Return the number of outputs of each column."""
    if path_of(encoder) == ONE_HOT:
        rare = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
        pairs = zip(encoder.categories_, rare, strict=True)
        return [len(entry) if few is None else len(entry) - len(few) + 1 for entry, few in pairs]
    is_multiclass = path_of(encoder) == TARGET and encoder.target_type_ == "multiclass"
    return [len(encoder.classes_) if is_multiclass else 1] * len(encoder.categories_)


def _unseen(known: Sequence[Hashable]) -> Hashable:
    """Return a value of the same type that is unknown."""
    if known and isinstance(known[0], float | int):
        return max(float(value) for value in known) + 1.0  # type: ignore[arg-type]
    return "\0".join(map(str, known)) + "\0"


def _probe(column: int, known: Sequence[Sequence[Hashable]], names: Sequence[str], reader: Any) -> pd.DataFrame:
    """Return labels with each value of one column.

    These are the known ones, an unseen one, and null.
    """
    values = [*known[column], _unseen(known[column]), np.nan]
    entries = [
        values if place == column else [next(iter(known[place]), np.nan)] * len(values) for place in range(len(names))
    ]
    dtypes = ["float64" if is_number else "object" for is_number in reader.numeric_]
    series = [pd.Series(entry, dtype=dtype) for entry, dtype in zip(entries, dtypes, strict=True)]
    return pd.DataFrame(dict(zip(names, series, strict=True)))


def _run(steps: Sequence[Any], labels: pd.DataFrame) -> Matrix:
    """Return what fitted steps make of labels. Categories become their codes, null NaN."""
    values: Any = labels if hasattr(steps[0], "feature_names_in_") else labels.to_numpy()
    for step in steps:
        values = step.transform(values)
    if isinstance(values, pd.DataFrame):
        return np.column_stack([_codes(values[name]) for name in values.columns])
    return np.asarray(values, dtype=float)


def _codes(column: pd.Series) -> Matrix:
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return column.to_numpy(dtype=float)
    codes = column.cat.codes.to_numpy(dtype=float)
    return np.where(codes < 0, np.nan, codes)


def _as_slice(places: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    is_run = (np.diff(places) == 1).all()
    return slice(int(places[0]), int(places[-1]) + 1) if is_run else places
