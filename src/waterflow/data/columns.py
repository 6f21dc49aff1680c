"""Types, roles and conversion of columns. Columns are converted to numbers and times."""

from typing import Literal

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_datetime64_any_dtype, is_numeric_dtype

from waterflow.config.schema import PipelineConfig

ColumnType = Literal["numeric", "datetime", "categorical"]
NUMBERS = {"boolean", "integer", "floating", "decimal", "mixed-integer-float"}
TIMES = {"date", "datetime", "datetime64"}


def type_of(column: pd.Series) -> ColumnType:
    """Return the type of a column.

    Booleans are `numeric`, text is `categorical`. Where nulls stand beside booleans, dates or decimals, pandas holds
    Python objects; their own types decide.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "categorical"
    if is_bool_dtype(column) or is_numeric_dtype(column):
        return "numeric"
    if is_datetime64_any_dtype(column):
        return "datetime"
    kind = pd.api.types.infer_dtype(column, skipna=True) if column.dtype == object else "string"
    return "numeric" if kind in NUMBERS else "datetime" if kind in TIMES else "categorical"


def as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert numbers and booleans of any storage to float64. Null becomes NaN."""
    return pd.DataFrame({name: to_floats(frame[name]) for name in frame.columns}, index=frame.index)


def to_floats(column: pd.Series, errors: Literal["raise", "coerce"] = "raise") -> pd.Series:
    """Convert a column of numbers or booleans to float64. Any storage is accepted; null becomes NaN."""
    if not (is_bool_dtype(column) or is_numeric_dtype(column)):
        column = pd.to_numeric(column.astype(object).where(column.notna(), np.nan), errors=errors)
    return column.astype("float64")


def to_times(column: pd.Series) -> pd.Series:
    """Convert times or ISO 8601 text to UTC times. What is no time becomes NaT."""
    if is_numeric_dtype(column):
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[us, UTC]")
    return pd.to_datetime(column, errors="coerce", utc=True, format="ISO8601")


def as_served(frame: pd.DataFrame) -> pd.DataFrame:
    """Return columns of the types that MLflow's signature serves.

    Times are in UTC without their zone. Nullable integers are float64, as integers beside a null arrive in JSON. Other
    columns are unchanged.
    """
    zoned = {str(name): column.dt.tz_convert(None) for name, column in frame.select_dtypes("datetimetz").items()}
    return frame.assign(**zoned, **as_numbers(frame.select_dtypes("Int64")))


def weights_of(rows: pd.DataFrame, config: PipelineConfig) -> pd.Series | None:
    """Return what each row counts. None where all count alike."""
    return None if config.weight is None else to_floats(rows[config.weight])


def feature_columns(frame: pd.DataFrame, config: PipelineConfig) -> list[str]:
    """Return the columns that a model may see.

    These are the declared features, else all without another role. Dropped columns and those that are known only after
    the outcome are never features, even if declared.
    """
    if config.named_features is not None:
        return [name for name in config.named_features if name not in (*config.drop, *config.known_after)]
    roles = {
        config.target,
        config.group,
        config.weight,
        config.time_column,
        *config.key,
        *config.drop,
        *config.known_after,
    }
    return [str(name) for name in frame.columns if name not in roles]
