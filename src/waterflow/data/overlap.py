"""Held-out rows that a model cannot have seen."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.schema import PipelineConfig
from waterflow.data.columns import feature_columns
from waterflow.data.row_identity import hash_rows, identity_columns
from waterflow.errors import DataError


def unseen_rows(
    holdout: pd.DataFrame, seen: pd.DataFrame, config: PipelineConfig, seen_config: PipelineConfig
) -> NDArray[np.bool_]:
    """Return which rows of `holdout` are surely unseen, shape (rows,).

    They are not among `seen`. `seen` are the rows that a model of `seen_config` was fitted and selected on. Under a
    time split the unseen rows are those later than all of them; otherwise rows are compared by identity. Raises
    DataError when they cannot be told apart.
    """
    if seen.empty:
        return np.ones(len(holdout), dtype=bool)
    if config.split_kind == "time":
        assert config.time_column is not None  # validated with the configuration
        _check_columns(seen, [config.time_column])
        return (_moments(holdout[config.time_column]) > _moments(seen[config.time_column]).max()).to_numpy()
    names = identity_columns(holdout, config)
    if config.group or config.key:
        _check_columns(seen, names)
    elif differing := {*names} ^ {*feature_columns(seen, seen_config), seen_config.target}:
        raise DataError(
            "a row is identified by its features and target, and those of the two models differ "
            f"({', '.join(sorted(differing))}); declare key, the columns that identify a row"
        )
    return ~np.isin(hash_rows(holdout, names), hash_rows(seen, names))


def _moments(times: pd.Series) -> pd.Series:
    return pd.to_datetime(times, utc=True)


def _check_columns(seen: pd.DataFrame, names: list[str]) -> None:
    missing = [name for name in names if name not in seen.columns]
    if missing:
        raise DataError(f"its data has no column {', '.join(map(repr, missing))}, which identifies a row")
