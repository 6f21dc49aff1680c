"""Types and roles of columns."""

from typing import Literal

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

from waterflow.config.schema import PipelineConfig

NUMBERS = {"boolean", "integer", "floating", "decimal", "mixed-integer-float"}
TIMES = {"date", "datetime", "datetime64"}


def type_of(column: pd.Series) -> str:
    """Say whether a column is `numeric` (booleans are), `datetime` or `categorical` (all the rest, text too).

    Where a null stands beside booleans, dates or decimals, pandas holds Python objects; those are looked at.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "categorical"
    if is_bool_dtype(column) or is_numeric_dtype(column):
        return "numeric"
    if is_datetime64_any_dtype(column):
        return "datetime"
    found = pd.api.types.infer_dtype(column, skipna=True) if column.dtype == object else "string"
    return "numeric" if found in NUMBERS else "datetime" if found in TIMES else "categorical"


def as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn numbers and booleans of any storage into float64, null into NaN."""
    return pd.DataFrame({name: to_floats(frame[name]) for name in frame.columns}, index=frame.index)


def to_floats(column: pd.Series, errors: Literal["raise", "coerce"] = "raise") -> pd.Series:
    """Return a column of numbers or booleans, of any storage, as float64; null becomes NaN."""
    if not (is_bool_dtype(column) or is_numeric_dtype(column)):
        column = pd.to_numeric(column.astype(object).where(column.notna(), np.nan), errors=errors)
    return column.astype("float64")


def feature_columns(frame: pd.DataFrame, config: PipelineConfig) -> list[str]:
    """Name the columns that a model may see: the declared features, or all but those with another role.

    What is dropped, or known only after the outcome, is no feature even where it is declared as one.
    """
    if config.features is not None:
        return [name for name in config.features if name not in (*config.drop, *config.known_after)]
    roles = {config.target, config.group, config.time_column, *config.key, *config.drop, *config.known_after}
    return [str(name) for name in frame.columns if name not in roles]
