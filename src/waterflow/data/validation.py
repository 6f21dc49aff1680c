"""Validation of rows against what the pipeline declares. It happens before anything is split or trained."""

from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from waterflow.config.schema import DependenceConfig, PipelineConfig
from waterflow.data.columns import feature_columns
from waterflow.errors import ConfigError, DataError


def check_rows(frame: pd.DataFrame, config: PipelineConfig) -> None:
    """Raise DataError on rows that cannot be trained on.

    Required are every declared column, a target without nulls and with at least two values, features that are not
    blank throughout, a group in every row, and two rows of each class.
    """
    _check_columns(frame, config)
    if config.group is not None and frame[config.group].isna().any():
        raise DataError(
            f"group: {config.group!r} is null in {int(frame[config.group].isna().sum())} of {len(frame)} rows; without "
            "their group they could fall on both sides of the split: fill it or remove those rows"
        )
    target = frame[config.target]
    if target.isna().any():
        raise DataError(
            f"target: {config.target!r} is null in {int(target.isna().sum())} of {len(frame)} rows; "
            "remove or label them"
        )
    if target.nunique() < 2:
        raise DataError(f"target: {config.target!r} is always {_plain(target.iloc[0])}; there is nothing to learn")
    if config.task == "regression" and not is_numeric_dtype(target):
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


def _check_columns(frame: pd.DataFrame, config: PipelineConfig) -> None:
    declared = {
        "target": (config.target,),
        "features": config.features or (),
        "drop": config.drop,
        "known_after": config.known_after,
        "key": config.key,
        "group": (config.group,) if config.group else (),
        "time_column": (config.time_column,) if config.time_column else (),
    }
    for place, names in declared.items():
        for name in names:
            if name not in frame.columns:
                columns = ", ".join(map(str, frame.columns))
                raise DataError(f"{place}: {name!r} is no column; the data has {columns}")
    if config.features is not None and config.target in config.features:
        raise DataError(f"features: {config.target!r} is the target; a model must not see it")
    if not feature_columns(frame, config):
        raise DataError("features: no column is left for the model; take some out of drop or add data")


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
