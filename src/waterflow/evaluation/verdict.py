"""The outcome of a comparison and its reason. It is promote, hold or insufficient evidence; the reason is one line."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from waterflow.config.schema import EvidenceConfig
from waterflow.evaluation.comparison import Comparison
from waterflow.records.evaluation import SliceResult

Outcome = Literal["promote", "hold", "insufficient evidence"]


def decide(
    comparison: Comparison, evidence: EvidenceConfig, slices: Sequence[SliceResult], *, identical: bool
) -> tuple[Outcome, str]:
    """Return the outcome and its reason. Interval, p-value and slices decide.

    `promote`: the interval of the difference lies above 0, its p-value does not exceed `alpha`, the difference is at
    least `min_gain`, and no slice is shown to be worse. `hold`: the interval rules out a gain above `min_gain`, or a
    slice is worse. Anything else is insufficient evidence.
    """
    difference, name = comparison.difference, comparison.metric
    is_shown = difference.low > 0 and comparison.p_value <= evidence.alpha
    interval = f"interval {format_value(difference.low)} to {format_value(difference.high)}"
    sample = f"; {describe_sample(comparison.rows, comparison.effective_rows)}" if comparison.clusters else ""
    better = f"{name} is better by {format_value(difference.value)} ({interval})"
    worse = ", ".join(f"{entry.column} = {entry.value}" for entry in slices if entry.worse)
    if identical:
        return "hold", "both models predict the same on every row"
    if difference.low == difference.high == 0:
        return "hold", f"{name} does not differ on any row"
    if difference.high < 0:
        return "hold", f"{name} is worse by {format_value(-difference.value)} ({interval}){sample}"
    if difference.high <= evidence.min_gain:
        return (
            "hold",
            f"{name} gains no more than {format_value(evidence.min_gain)}, which is min_gain ({interval}){sample}",
        )
    if is_shown and difference.value >= evidence.min_gain:
        return ("hold", f"{better}, but worse on {worse}{sample}") if worse else ("promote", better + sample)
    if is_shown:
        return "insufficient evidence", f"{better}, less than min_gain {format_value(evidence.min_gain)}{sample}"
    return "insufficient evidence", (
        f"{name} differs by {format_value(difference.value)} ({interval}); these rows show a gain of "
        f"{format_value(comparison.smallest_detectable or 0.0)} or more in four of five cases{sample}"
    )


def describe_sample(rows: int, effective_rows: float) -> str:
    """Return the rows and how many independent ones they equal.

    Such as `20,739 rows, worth about 690`.
    """
    return f"{rows:,} rows, worth about {float(f'{max(effective_rows, 1):.2g}'):,.0f}"


def format_value(value: float) -> str:
    """Return a number with four significant digits."""
    return np.format_float_positional(value, precision=4, fractional=False, trim="-") if value else "0"
