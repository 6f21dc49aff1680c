"""Rows that a function of the user's own returns."""

from typing import Any

import pandas as pd
import pyarrow as pa

from waterflow.config.own_code import load_function
from waterflow.config.schema import PythonSource
from waterflow.data.column_types import array_of
from waterflow.errors import DataError, UnreachableError, WaterflowError, first_line
from waterflow.records.run import Window


def read_python(source: PythonSource, window: Window | None) -> pa.Table:
    """Call the function with the window and return its rows.

    It returns a frame or an Arrow table. Raises ConfigError when there is no such function, DataError when it raises or
    returns anything else, UnreachableError when it cannot connect.
    """
    function = load_function(source.function, "dataset.function")
    start, end = (window.start, window.end) if window else (None, None)
    try:
        rows = function(start=start, end=end, **source.params)
    except WaterflowError:
        raise
    except (ConnectionError, TimeoutError) as error:
        raise UnreachableError(f"dataset.function: {source.function} cannot connect ({first_line(error)})") from error
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise DataError(
            f"dataset.function: {source.function} raised {reason}; it is called with start, end"
            f"{''.join(f', {name}' for name in source.params)}; fix it"
        ) from error
    return _table_of(rows, source.function)


def _table_of(rows: Any, path: str) -> pa.Table:
    if isinstance(rows, pd.DataFrame):
        frame = rows.reset_index() if rows.index.name is not None else rows
        names = [str(name) for name in frame.columns]
        columns: list[Any] = [_array_of(frame.iloc[:, position]) for position in range(len(names))]
    elif isinstance(rows, pa.Table):
        names, columns = rows.column_names, rows.columns
    else:
        raise DataError(f"dataset.function: {path} returned {type(rows).__name__}; return a pandas DataFrame")
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"dataset.function: {path} returned column {twice[0]!r} twice; name each column once")
    return pa.table(columns, names=names)


def _array_of(column: pd.Series) -> Any:
    return array_of(column.tolist()) if column.dtype == object else pa.array(column, from_pandas=True)
