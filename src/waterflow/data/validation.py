"""Validation of rows against what the pipeline declares. It happens before anything is split or trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_float_dtype, is_numeric_dtype

from waterflow.config.schema import DependenceConfig, PipelineConfig
from waterflow.data.columns import feature_columns, to_floats, type_of
from waterflow.errors import ConfigError, DataError

FIRST_YEAR, LAST_YEAR = 1678, 2261  # of nanoseconds in 64 bits


def check_rows(frame: pd.DataFrame, config: PipelineConfig, left_out: Sequence[str] = ()) -> None:
    """Raise DataError on rows that cannot be trained on.

    Required are every declared column, a target without nulls and with at least two values, features that are not
    blank throughout or infinite, a group in every row, and two rows of each class. `left_out` are columns of the source
    that rows do not have.
    """
    _check_columns(frame, config, left_out)
    if config.group is not None and frame[config.group].isna().any():
        raise DataError(
            f"group: {config.group!r} is null in {int(frame[config.group].isna().sum())} of {len(frame)} rows; without "
            "their group they could fall on both sides of the split: fill it or remove those rows"
        )
    if config.weight is not None:
        _check_weight(frame[config.weight])
    target = frame[config.target]
    if target.isna().any():
        raise DataError(
            f"target: {config.target!r} is null in {int(target.isna().sum())} of {len(frame)} rows; "
            "label them, or state `target_nulls: drop`"
        )
    if target.nunique() < 2:
        raise DataError(f"target: {config.target!r} is always {_plain(target.iloc[0])}; there is nothing to learn")
    if config.task == "regression" and type_of(target) != "numeric":
        raise DataError(
            f"target: {config.target!r} holds {target.dtype}, regression needs numbers; change task or target"
        )
    if config.task == "classification":
        _check_classes(target, config)
    for name in feature_columns(frame, config):
        if _is_blank(frame[name]):
            raise DataError(
                f"column {name!r} is null or empty in all {len(frame)} rows; add `drop: [{name}]` or fix the data"
            )
        _check_range(frame[name])
    for name in [*feature_columns(frame, config), config.target]:
        if count := _count_infinite(frame[name]):
            raise DataError(
                f"column {name!r} is infinite in {count} of {len(frame)} rows; count that as null by `na_values: [inf, "
                f"-inf]` in dataset, or add `drop: [{name}]`"
            )


def check_promotion_columns(frame: pd.DataFrame, config: PipelineConfig) -> None:
    """Raise ConfigError for missing columns of slices and dependence."""
    named = [("not_worse_on", asked.column) for asked in config.promotion.not_worse_on]
    named += [("dependence.by", name) for name in (config.promotion.dependence or DependenceConfig()).by]
    for key, name in named:
        if name not in frame.columns:
            columns = ", ".join(map(str, frame.columns))
            raise ConfigError(f"promotion.{key}: {name!r} is no column; the data has {columns}")


def _is_blank(column: pd.Series) -> bool:
    """Return whether a column has only nulls and blank text. Blank text is empty or has only spaces."""
    values = column.dropna()
    return all(isinstance(value, str) and not value.strip() for value in values)


def _check_range(column: pd.Series) -> None:
    """Raise DataError for times that cannot be served. MLflow's signature counts nanoseconds in 64 bits."""
    if not is_datetime64_any_dtype(column) or column.isna().all():
        return
    for moment in (column.min(), column.max()):
        if not FIRST_YEAR <= moment.year <= LAST_YEAR:
            raise DataError(
                f"column {column.name!r} holds {moment.date()}, and a served model accepts the years {FIRST_YEAR} to "
                f"{LAST_YEAR}; count it as null by `na_values: ['{moment.date()}']` in dataset, or add "
                f"`drop: [{column.name}]`"
            )


def _count_infinite(column: pd.Series) -> int:
    return int(np.isinf(column.to_numpy()).sum()) if is_float_dtype(column) else 0


def _check_columns(frame: pd.DataFrame, config: PipelineConfig, left_out: Sequence[str]) -> None:
    declared = {
        "target": (config.target,),
        "features": config.named_features or (),
        "drop": config.drop,
        "known_after": config.known_after,
        "key": config.key,
        "group": (config.group,) if config.group else (),
        "weight": (config.weight,) if config.weight else (),
        "time_column": (config.time_column,) if config.time_column else (),
    }
    for place, names in declared.items():
        for name in names:
            if name not in frame.columns and name not in left_out:
                columns = ", ".join(map(str, frame.columns))
                raise DataError(f"{place}: {name!r} is no column; the data has {columns}")
    for role, column in (("target", config.target), ("weight", config.weight)):
        if column is not None and column in (config.named_features or ()):
            raise DataError(f"features: {column!r} is the {role}; a model must not see it")
    if not feature_columns(frame, config):
        raise DataError("features: no column is left for the model; take some out of drop or add data")


def _check_weight(weight: pd.Series) -> None:
    """Raise DataError for a negative weight or none above 0."""
    if type_of(weight) != "numeric" or is_bool_dtype(weight):
        raise DataError(f"weight: {weight.name!r} holds {weight.dtype}, not numbers; choose another column")
    values = to_floats(weight).to_numpy()
    bad = ~np.isfinite(values) | (values < 0)
    if bad.any() or not values.any():
        first = f"row {int(bad.argmax())} has {values[bad.argmax()]}" if bad.any() else "all are 0"
        raise DataError(f"weight: {weight.name!r} needs a number of at least 0 in every row ({first}); fix the data")


def _check_classes(target: pd.Series, config: PipelineConfig) -> None:
    counts = target.value_counts()
    if len(counts) > max(20, len(target) / 2) and is_numeric_dtype(target):
        raise DataError(
            f"target: {config.target!r} has {len(counts)} different values in {len(target)} rows; "
            "is task: regression meant?"
        )
    if counts.iloc[-1] < 2:
        raise DataError(
            f"target: class {_plain(counts.index[-1])} of {config.target!r} has one row; "
            "a class needs two or more, to train on one and evaluate on another"
        )


def _plain(value: Any) -> str:
    """Format a value without numpy's type: `1.5`, not `np.float64(1.5)`."""
    return repr(value.item() if isinstance(value, np.generic) else value)
