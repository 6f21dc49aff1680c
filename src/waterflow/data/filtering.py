"""The rows of the window that a pipeline asks for."""

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.errors import ConfigError, DataError, first_line
from waterflow.plurals import counted


def filter_rows(frame: pd.DataFrame, config: PipelineConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Keep the rows that the pipeline asks for.

    These are accepted by `rows.where` and, under `target_nulls: drop`, have a target.

    Returns a note for each rule with the number of rows that it dropped. Raises ConfigError for an expression that
    pandas cannot evaluate to true or false, DataError when no row is left.
    """
    notes = []
    if config.rows.where is not None:
        frame, dropped = _keep(frame, _accepts(frame, config.rows.where), "rows.where")
        notes.append(f"rows.where dropped {counted(dropped, 'row')}")
    if config.target_nulls == "drop" and config.target in frame:
        frame, dropped = _keep(frame, frame[config.target].notna(), "target_nulls")
        notes.append(f"target_nulls dropped {counted(dropped, 'row')}")
    return frame, tuple(notes)


def drop_undated(frame: pd.DataFrame, config: PipelineConfig) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Drop rows without a time that `rows.where` refuses.

    The window cannot place them, and is cut before other rows are filtered. Returns a note with their number.
    """
    where, column = config.rows.where, config.time_column
    if where is None or column is None or column not in frame or not frame[column].isna().any():
        return frame, ()
    undated = frame[frame[column].isna()].assign(**{column: pd.Series(dtype="datetime64[us, UTC]")})
    refused = undated.index[~_accepts(undated, where)]
    notes = (f"rows.where dropped {counted(len(refused), 'row')} without a time",) if len(refused) else ()
    return frame.drop(index=refused), notes


def _accepts(frame: pd.DataFrame, where: str) -> pd.Series:
    try:
        # Without names of Python around it, an expression sees columns alone.
        accepted = frame.eval(where, engine="python", local_dict={}, global_dict={})
    except Exception as error:  # pandas raises what Python's parser, a name or an operator does
        raise ConfigError(
            f"rows.where: {where!r} cannot be evaluated ({first_line(error)}); write it like "
            '`amount > 0 and country == "DE"`, names with other characters in backticks'
        ) from error
    if not isinstance(accepted, pd.Series) or not accepted.dropna().isin([True, False]).all():
        raise ConfigError(f"rows.where: {where!r} is neither true nor false of a row; compare columns to values")
    return accepted.fillna(False).astype(bool)


def _keep(frame: pd.DataFrame, accepted: pd.Series, key: str) -> tuple[pd.DataFrame, int]:
    if not accepted.any():
        raise DataError(f"{key}: none of {len(frame)} rows is left; loosen it or choose another window")
    return frame[accepted].reset_index(drop=True), int((~accepted).sum())
