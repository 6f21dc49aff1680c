"""The holdout that a function of the user's own chooses."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.own_code import load_function
from waterflow.errors import DataError, first_line

CHECKED_ROWS = 50


def hold_out(path: str, frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Return which rows a function holds out, shape (rows,).

    It is called with all columns of the rows. Raises DataError when it raises, answers anything but a truth value for
    each row, or when the side of a row depends on the other rows: a row once held out has to stay held out.
    """
    held_out = _call(path, frame)
    rows = np.unique(np.linspace(0, len(frame) - 1, min(CHECKED_ROWS, len(frame))).astype(int))
    if not np.array_equal(_call(path, frame.iloc[rows]), held_out[rows]):
        raise DataError(
            f"split.function: {path}: the side of a row changes with the other rows, so training rows would become "
            "held-out ones as data grows; decide by the row's own values"
        )
    return held_out


def _call(path: str, frame: pd.DataFrame) -> NDArray[np.bool_]:
    function = load_function(path, "split.function")
    try:
        answer = np.asarray(function(frame.copy()))
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise DataError(f"split.function: {path} raised {reason}; it is called with a frame of all columns") from error
    if answer.shape != (len(frame),) or not set(pd.unique(answer)) <= {True, False}:
        raise DataError(f"split.function: {path} has to return true or false for each of {len(frame)} rows; fix it")
    return answer.astype(bool)
