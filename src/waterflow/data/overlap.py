"""Which held-out rows a model cannot have seen, from the rows that it was fitted and selected on."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.schema import PipelineConfig
from waterflow.data.splitting import hash_fractions
from waterflow.errors import DataError


def unseen_rows(holdout: pd.DataFrame, seen: pd.DataFrame, config: PipelineConfig) -> NDArray[np.bool_]:
    """Say of each row of `holdout`, shape (rows,), whether it is surely not among `seen`.

    Under a time split these are the rows later than the last one seen. Otherwise a row is known by its group, its key
    columns or all its values, hashed as the split hashes them. Raises DataError where the columns cannot tell.
    """
    if seen.empty:
        return np.ones(len(holdout), dtype=bool)
    if config.split_kind == "time":
        assert config.time_column is not None  # the configuration sees to it
        _check_columns(seen, (config.time_column,))
        return (_moments(holdout[config.time_column]) > _moments(seen[config.time_column]).max()).to_numpy()
    names = (config.group,) if config.group else config.key
    _check_columns(seen, names)
    if not names and set(seen.columns) != set(holdout.columns):
        raise DataError(
            "a row is known by all its values, and the columns of the two data sets differ "
            f"({', '.join(sorted(map(str, set(seen.columns) ^ set(holdout.columns))))}); declare key, which names a row"
        )
    known = list(names or holdout.columns)  # in one order, for the hash depends on it
    return ~np.isin(hash_fractions(holdout[known], config), hash_fractions(seen[known], config))


def _moments(times: pd.Series) -> pd.Series:
    return pd.to_datetime(times, utc=True)


def _check_columns(seen: pd.DataFrame, names: tuple[str, ...]) -> None:
    missing = [name for name in names if name not in seen.columns]
    if missing:
        raise DataError(f"its data has no column {', '.join(map(repr, missing))}, by which a row is known")
