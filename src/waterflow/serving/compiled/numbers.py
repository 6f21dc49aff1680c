"""Blocks of numbers: read, clip, impute, scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from waterflow.errors import DataError
from waterflow.serving.compiled.interface import Matrix, MatrixStep, NotCompilableError, path_of
from waterflow.serving.compiled.scaling import compile_clip, compile_scale
from waterflow.serving.compiled.values import read_numbers

CLIPPER = "waterflow.training.transformers.Clipper"
IMPUTER = "sklearn.impute._base.SimpleImputer"


@dataclass(frozen=True)
class NumberBlock:
    """Columns of numbers. `sources` names the raw column of each output."""

    names: tuple[str, ...]
    sources: tuple[str, ...]
    steps: tuple[MatrixStep, ...]
    first: int  # output of the pipeline's transformer

    @property
    def categories(self) -> tuple[None, ...]:
        """Return None for each output: none is a category."""
        return (None,) * len(self.sources)

    def write(self, columns: Mapping[str, Sequence[Any]], features: Matrix) -> None:
        """Write the outputs of rows to their places. Raises DataError for infinity where a step refuses it."""
        values = read_numbers([columns[name] for name in self.names])
        if self.steps and np.isinf(values).any():
            name = self.names[int(np.isinf(values).any(axis=0).argmax())]
            raise DataError(f"column {name!r}: a number is infinite; send finite numbers or null")
        for step in self.steps:
            values = step(values)
        features[:, self.first : self.first + len(self.sources)] = values


def compile_numbers(names: Sequence[str], steps: Sequence[Any], first: int) -> NumberBlock:
    """Compile the steps after the one that reads numbers. Raises NotCompilableError for any other step."""
    compiled: list[MatrixStep] = []
    sources = list(names)
    for step in steps:
        match path_of(step):
            case path if path == CLIPPER:
                compiled.append(compile_clip(step))
            case path if path == IMPUTER:
                compiled.append(_compile_impute(step, len(names)))
                sources += [names[column] for column in indicated_columns(step)]
            case _:
                compiled.append(compile_scale(step))
    return NumberBlock(tuple(names), tuple(sources), tuple(compiled), first)


def indicated_columns(imputer: Any) -> list[int]:
    """Return the columns for which an imputer adds an indicator."""
    return imputer.indicator_.features_.tolist() if imputer.add_indicator else []


def _compile_impute(imputer: Any, width: int) -> MatrixStep:
    if not np.isnan(imputer.missing_values):
        raise NotCompilableError(f"the imputer takes {imputer.missing_values!r} for missing, not null")
    fills = imputer.transform(_empty_row(imputer, width))
    fills = np.asarray(fills, dtype=float)[0, :width]
    indicated = indicated_columns(imputer)

    def impute(values: Matrix) -> Matrix:
        is_missing = np.isnan(values)
        filled = np.where(is_missing, fills, values)
        return np.hstack((filled, is_missing[:, indicated])) if indicated else filled

    return impute


def _empty_row(imputer: Any, width: int) -> Any:
    import pandas as pd

    row = np.full((1, width), np.nan)
    names = getattr(imputer, "feature_names_in_", None)
    return row if names is None else pd.DataFrame(row, columns=names)
