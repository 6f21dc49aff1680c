"""What follows from a comparison: promote, hold, or not enough evidence, and why in one line."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from waterflow.config.schema import EvidenceConfig, SliceConfig
from waterflow.evaluation.comparison import Comparison, compare
from waterflow.evaluation.paired_metrics import Pair, UndefinedError
from waterflow.records import SliceResult

Outcome = Literal["promote", "hold", "insufficient evidence"]
MOST_SLICES = 20
OTHER, MISSING = "(all other values)", "(missing)"


def decide(
    comparison: Comparison, evidence: EvidenceConfig, slices: Sequence[SliceResult], identical: bool
) -> tuple[Outcome, str]:
    """Decide by the interval of the difference.

    `promote`: it lies above 0, the difference found is at least `min_gain`, and no slice is shown to be worse.
    `hold`: it rules out a gain above `min_gain`, or a slice is worse. Anything else is not enough evidence.
    """
    found, name = comparison.difference, comparison.metric
    interval = f"interval {_number(found.low)} to {_number(found.high)}"
    worse = [entry for entry in slices if entry.worse]
    if identical:
        return "hold", "both models predict the same on every row"
    if found.high < 0:
        return "hold", f"{name} is worse by {_number(-found.value)} ({interval})"
    if found.high <= evidence.min_gain:
        return "hold", f"{name} gains no more than {_number(evidence.min_gain)}, which is min_gain ({interval})"
    if found.low > 0 and found.value >= evidence.min_gain:
        if worse:
            places = ", ".join(f"{entry.column} = {entry.value}" for entry in worse)
            return "hold", f"{name} is better by {_number(found.value)} ({interval}), but worse on {places}"
        return "promote", f"{name} is better by {_number(found.value)} ({interval})"
    if found.low > 0:
        return "insufficient evidence", (
            f"{name} is better by {_number(found.value)} ({interval}), less than min_gain {_number(evidence.min_gain)}"
        )
    return "insufficient evidence", (
        f"{name} differs by {_number(found.value)} ({interval}); these rows show a gain of "
        f"{_number(comparison.smallest_detectable or 0.0)} or more in four of five cases"
    )


def compare_slices(
    pair: Pair, column: pd.Series, asked: SliceConfig, metric: str, evidence: EvidenceConfig, seed: int
) -> list[SliceResult]:
    """Compare on the rows of each value of `column`, which is aligned with the pair."""
    values = slice_values(column)
    return [
        _compare_slice(pair.take((values == value).to_numpy()), str(value), asked, metric, evidence, seed)
        for value in _in_order(values, column)
    ]


def slice_values(column: pd.Series) -> pd.Series:
    """Name each row's slice: its value; of many numbers or times the quarter, of many texts the most frequent."""
    known = column.dropna()
    if known.nunique() > MOST_SLICES and _is_ordered(column):
        names = pd.qcut(column, 4, duplicates="drop").astype(object).map(_range_text, na_action="ignore")
    else:
        names = column.astype(object).map(str, na_action="ignore")
        frequent = names.value_counts().index[:MOST_SLICES]
        names = names.where(names.isin(frequent) | names.isna(), OTHER)
    return names.fillna(MISSING)


def _in_order(values: pd.Series, column: pd.Series) -> list[str]:
    """Order slices of numbers and times by their values, others by their rows; what is missing comes last."""
    if _is_ordered(column):
        return [str(name) for name in column.groupby(values).min().sort_values(na_position="last").index]
    return [str(name) for name in values.value_counts().index]


def _is_ordered(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column))


def _range_text(interval: pd.Interval) -> str:
    ends = [_number(end) if isinstance(end, float | int) else str(end) for end in (interval.left, interval.right)]
    return f"{ends[0]} to {ends[1]}"


def _compare_slice(
    pair: Pair, value: str, asked: SliceConfig, metric: str, evidence: EvidenceConfig, seed: int
) -> SliceResult:
    rows = len(pair.truth)
    nothing = SliceResult(
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
        return nothing
    try:
        found = compare(pair, metric, evidence, seed)
    except UndefinedError as error:
        return nothing.model_copy(update={"note": f"{metric} is undefined: {error}"})
    return SliceResult(
        column=asked.column,
        value=value,
        rows=rows,
        challenger=found.challenger.value,
        champion=found.champion.value,
        difference=found.difference.value,
        low=found.difference.low,
        high=found.difference.high,
        worse=bool(found.difference.high < -asked.tolerance),
    )


def _number(value: float) -> str:
    return np.format_float_positional(value, precision=4, fractional=False, trim="-") if value else "0"
