"""Rows of a batch, as the model takes them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from waterflow.config.schema import ContractConfig, ContractType, PipelineConfig, Source
from waterflow.data.canonical import frame_of
from waterflow.data.column_types import type_columns
from waterflow.data.columns import to_floats
from waterflow.data.contract import check_contract
from waterflow.data.filtering import drop_undated, filter_rows
from waterflow.data.reading_rules import ReadingRules
from waterflow.data.window import parse_times
from waterflow.errors import ContractError, DataError
from waterflow.records.run import Window
from waterflow.records.serving import FeatureColumn, FeatureKind

TYPES: Mapping[FeatureKind, ContractType] = {
    "number": "number",
    "integer": "integer",
    "boolean": "boolean",
    "text": "text",
    "category": "text",
    "time": "datetime",
}


@dataclass
class BatchRows:
    """The rows that are to be predicted. `breaks` counts breaks of the contract that were let through."""

    config: PipelineConfig
    features: Sequence[FeatureColumn]
    source: Source
    window: Window
    breaks: int = 0

    def read(self, tables: Iterator[pa.Table]) -> Iterator[pd.DataFrame]:
        """Yield the rows of tables. They are indexed by their number in the source.

        Raises DataError where a column of the model is missing or of another type, ContractError for rows that break
        the contract, unless `serving.contract` is `warn`.
        """
        first = 0
        for table in tables:
            frame = self._typed(table)
            frame.index = pd.RangeIndex(first, first + len(frame))
            first += len(frame)
            frame = self._chosen(frame)
            if len(frame):
                self._check(frame)
                yield frame

    @property
    def identity(self) -> tuple[str, ...]:
        """Return the columns that say which row it is. They are kept beside its prediction."""
        names = (*self.config.key, self.config.group, self.config.time_column)
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def _typed(self, table: pa.Table) -> pd.DataFrame:
        missing = [feature.name for feature in self.features if feature.name not in table.column_names]
        if missing:
            raise DataError(
                f"input: it has no column {', '.join(map(repr, missing[:5]))}, which the model needs; it has "
                f"{', '.join(table.column_names[:20])}"
            )
        names = {feature.name for feature in self.features}.union(self.identity, self._contract_columns())
        where = self.config.rows.where is not None and self.source == self.config.dataset
        kept = table if where else table.select([name for name in table.column_names if name in names])
        return frame_of(type_columns(kept, self._rules()).table)

    def _rules(self) -> ReadingRules:
        """Return how to read. The types of the model come first."""
        rules = ReadingRules.of_source(self.source)
        declared = ReadingRules.of_pipeline(self.config)
        types = {**declared.contract, **{feature.name: TYPES[feature.kind] for feature in self.features}}
        return replace(rules, contract=types, time_column=self.config.time_column)

    def _chosen(self, frame: pd.DataFrame) -> pd.DataFrame:
        column, window = self.config.time_column, self.window
        if window != Window() and len(frame):
            if column is None:
                raise DataError(f"window: pipeline {self.config.name!r} has no time_column, so {window} cannot be cut")
            if self.source == self.config.dataset:
                frame, _ = drop_undated(frame, self.config)
            times = parse_times(frame, column, self.config.clock)
            after = True if window.start is None else times >= window.start
            before = True if window.end is None else times < window.end
            frame = frame.assign(**{column: times})[pd.Series(after & before, index=frame.index)]
        if self.config.rows.where is not None and self.source == self.config.dataset and len(frame):
            try:
                frame, _ = filter_rows(frame, self.config.model_copy(update={"target_nulls": "refuse"}))
            except DataError:  # none is left of these, but there are others
                return frame.iloc[:0]
        return frame

    def _contract_columns(self) -> dict[str, Any]:
        """Return the rules for columns known before the outcome."""
        contract = self.config.contract
        known = {*self.identity, *(feature.name for feature in self.features)}
        later = {self.config.target, *self.config.known_after}
        return {} if contract is None else {n: r for n, r in contract.columns.items() if n in known - later}

    def _check(self, frame: pd.DataFrame) -> None:
        rules = {name: rule for name, rule in self._contract_columns().items() if name in frame}
        if not rules:
            return
        contract = ContractConfig(
            columns={name: rule.model_copy(update={"unique": False}) for name, rule in rules.items()}
        )
        try:
            check_contract(frame, self.config.model_copy(update={"contract": contract}))
        except ContractError as error:
            if self.config.serving.contract == "reject":
                raise
            self.breaks += error.count


def columns_of(frame: pd.DataFrame, features: Sequence[FeatureColumn]) -> dict[str, Any]:
    """Return the columns that a predictor takes. Numbers are arrays, other values lists."""
    return {feature.name: _values(frame, feature) for feature in features}


def _values(frame: pd.DataFrame, feature: FeatureColumn) -> Any:
    column = frame[feature.name]
    if feature.kind == "number":
        return to_floats(column).to_numpy()
    if feature.kind == "integer" and not column.isna().any():
        return to_floats(column).to_numpy(dtype=np.int64)
    return column.astype(object).where(column.notna(), None).tolist()
