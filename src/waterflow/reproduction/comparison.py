"""Compare a second fit with the records of the first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from waterflow.plurals import counted
from waterflow.records.base import Record

EXACT = 0.0
# Fine-tuning adds floats in an order that torch's kernels choose by the machine. On one machine it repeats to the bit;
# between two, probabilities and the scores made of them may differ by this much.
BERT_TOLERANCE = 1e-3
SHOWN_ROWS = 5
NOT_COMPARED = "not compared"


class ComparedValue(Record):
    """A value as recorded and as of the second fit. `difference` is that of numbers.

    `agrees` is None where nothing is recorded to compare with; `recorded` then says why.
    """

    what: str
    recorded: str
    again: str
    difference: float | None = None
    agrees: bool | None


@dataclass(frozen=True)
class ComparedPredictions:
    """Predictions of `count` rows, compared row by row.

    `differing` has a row for each that does not agree: `row`, and each column of both, as NAME_recorded and NAME_again.
    `largest` is the largest difference of numbers over all rows; None where the rows or columns are not even the same.
    """

    count: int
    differing: pd.DataFrame
    largest: float | None

    def summarize(self, what: str) -> ComparedValue:
        """Return the comparison as one line."""
        agrees = self.differing.empty
        again = "all agree" if agrees else f"differing: {counted(len(self.differing), 'row')}"
        return ComparedValue(
            what=what, recorded=counted(self.count, "row"), again=again, difference=self.largest, agrees=agrees
        )


def tolerance_of(estimator: str) -> float:
    """Return the difference that an estimator may show. 0, except for BERT."""
    return BERT_TOLERANCE if estimator.startswith("waterflow.estimators.bert.") else EXACT


def not_compared(what: str, reason: str) -> ComparedValue:
    """Return a line for what cannot be compared."""
    return ComparedValue(what=what, recorded=reason, again=NOT_COMPARED, agrees=None)


def compare_values(
    prefix: str, recorded: Mapping[str, float | str], again: Mapping[str, float | str], tolerance: float = EXACT
) -> list[ComparedValue]:
    """Compare metrics, parameters or digests by name.

    Numbers agree within the tolerance. A name that only the second fit has is not compared; one that it lacks does not
    agree.
    """
    names = sorted({*recorded, *again})
    return [_compare_value(f"{prefix} {name}", recorded.get(name), again.get(name), tolerance) for name in names]


def compare_predictions(recorded: pd.DataFrame, again: pd.DataFrame, tolerance: float) -> ComparedPredictions:
    """Compare predictions row by row.

    Numbers and probabilities agree within the tolerance, classes when they are equal. With a tolerance and
    probabilities, these alone decide: a class flips where two are nearly equal. Both tables are those of
    `worker.tabulate_predictions`.
    """
    suffixes = ("_recorded", "_again")
    if list(recorded.columns) != list(again.columns) or recorded["row"].tolist() != again["row"].tolist():
        both = recorded.merge(again, on="row", how="outer", suffixes=suffixes)
        return ComparedPredictions(len(recorded), both, None)
    probabilities = [name for name in recorded.columns if name.startswith("probability_")]
    is_number = pd.api.types.is_float_dtype(recorded["prediction"])
    distances = np.zeros(len(recorded))
    for name in probabilities + (["prediction"] if is_number else []):
        distances = np.maximum(
            distances, _distances(recorded[name].to_numpy(dtype=float), again[name].to_numpy(dtype=float))
        )
    differs = ~(distances <= tolerance)
    if not is_number and not (tolerance and probabilities):
        differs |= (recorded["prediction"] != again["prediction"]).to_numpy()
    both = recorded.merge(again, on="row", suffixes=suffixes)
    return ComparedPredictions(len(recorded), both[differs].reset_index(drop=True), _finite(distances.max(initial=0.0)))


def _compare_value(what: str, before: float | str | None, now: float | str | None, tolerance: float) -> ComparedValue:
    if before is None:
        return not_compared(what, "no longer in MLflow")
    if isinstance(before, str) or now is None:
        again = "–" if now is None else str(now)
        recorded = before if isinstance(before, str) else repr(before)
        return ComparedValue(what=what, recorded=recorded, again=again, agrees=before == now)
    apart = float(_distances(np.array([before]), np.array([now], dtype=float))[0])
    return ComparedValue(
        what=what, recorded=repr(before), again=repr(now), difference=_finite(apart), agrees=apart <= tolerance
    )


def _distances(
    before: np.ndarray[tuple[int], np.dtype[np.float64]], now: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Return absolute differences. Two NaN are equal; one is infinitely far from any number."""
    with np.errstate(invalid="ignore"):
        distances = np.abs(before - now)
    same = (before == now) | (np.isnan(before) & np.isnan(now))
    return np.where(same, 0.0, np.where(np.isnan(distances), np.inf, distances))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
