"""The comparison on slices of the holdout. A slice is the rows with one value of a column."""

from typing import Any

import pandas as pd

from waterflow.config.schema import EvidenceConfig, SliceConfig
from waterflow.evaluation.comparison import compare_models
from waterflow.evaluation.paired_metrics import Pair, UndefinedError
from waterflow.evaluation.verdict import format_value
from waterflow.records.evaluation import SliceResult

MOST_SLICES = 20
OTHER, MISSING = "(all other values)", "(missing)"


def compare_slices(
    pair: Pair, column: pd.Series, asked: SliceConfig, metric: str, evidence: EvidenceConfig, seed: int
) -> list[SliceResult]:
    """Compare the models on each slice. A slice is the rows of one value of `column`, shape (rows,)."""
    values = slice_values(column)
    return [
        _compare_slice(pair.take((values == value).to_numpy()), str(value), asked, metric, evidence, seed)
        for value in _in_order(values, column)
    ]


def slice_values(column: pd.Series) -> pd.Series:
    """Return the name of each row's slice.

    It is the row's value; many numbers or times are cut into quarters, and rare texts of many are taken together.
    """
    known = column.dropna()
    if known.nunique() > MOST_SLICES and _is_ordered(column):
        quarters = pd.qcut(column, 4, duplicates="drop")
        names = quarters.cat.rename_categories(_name_ranges(quarters.cat.categories)).astype(object)
    else:
        names = column.astype(object).map(str, na_action="ignore")
        frequent = names.value_counts().index[:MOST_SLICES]
        names = names.where(names.isin(frequent) | names.isna(), OTHER)
    return names.fillna(MISSING)


def _in_order(values: pd.Series, column: pd.Series) -> list[str]:
    """Order slices by value or size. Numbers and times go by value, others by size; missing values come last."""
    if _is_ordered(column):
        return [str(name) for name in column.groupby(values).min().sort_values(na_position="last").index]
    return [str(name) for name in values.value_counts().index]


def _is_ordered(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column))


def _name_ranges(ranges: "pd.Index[Any]") -> list[str]:
    """Name ranges by their ends. Ends have all digits where rounded ones would give two ranges one name."""
    names = [_range_text(entry) for entry in ranges]
    return names if len(set(names)) == len(names) else [f"{entry.left} to {entry.right}" for entry in ranges]


def _range_text(interval: pd.Interval) -> str:
    ends = [format_value(end) if isinstance(end, float | int) else str(end) for end in (interval.left, interval.right)]
    return f"{ends[0]} to {ends[1]}"


def _compare_slice(
    pair: Pair, value: str, asked: SliceConfig, metric: str, evidence: EvidenceConfig, seed: int
) -> SliceResult:
    rows = len(pair.truth)
    result = SliceResult(
        column=asked.column,
        value=value,
        rows=rows,
        challenger=None,
        champion=None,
        difference=None,
        low=None,
        high=None,
        worse=False,
        note=f"fewer than {asked.min_rows} rows",
    )
    if rows < asked.min_rows:
        return result
    try:
        comparison = compare_models(pair, metric, alpha=evidence.alpha, resamples=evidence.resamples, seed=seed)
    except UndefinedError as error:
        return result.model_copy(update={"note": str(error)})
    difference = comparison.difference
    numbers = {"difference": difference.value, "low": difference.low, "high": difference.high}
    numbers |= {"challenger": comparison.challenger.value, "champion": comparison.champion.value}
    return result.model_copy(update={**numbers, "worse": bool(difference.high < -asked.tolerance), "note": ""})
