"""Holding what a second training gave against what was recorded of the first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from waterflow.records import Record

EXACT = 0.0
# Fine-tuning adds floats in an order that torch's kernels choose by the machine. On one machine it repeats to the bit;
# between two, probabilities and the scores made of them were granted this much.
BERT_TOLERANCE = 1e-3
SHOWN_ROWS = 5


class Compared(Record):
    """One thing that was compared: its value as recorded and now, and by how much numbers differ."""

    what: str
    recorded: str
    again: str
    difference: float | None = None
    agrees: bool


@dataclass(frozen=True)
class Rows:
    """Predictions held against others row by row.

    `differing` has a row for each that does not agree: `row`, and each column of both, as NAME_recorded and NAME_again.
    `largest` is the largest difference of numbers over all rows; None where the rows or columns are not even the same.
    """

    count: int
    differing: pd.DataFrame
    largest: float | None

    def line(self, what: str) -> Compared:
        """Sum it up."""
        again = "all agree" if self.differing.empty else f"{len(self.differing)} rows differ"
        return Compared(
            what=what,
            recorded=f"{self.count} rows",
            again=again,
            difference=self.largest,
            agrees=self.differing.empty,
        )


def tolerance_of(estimator: str) -> float:
    """Give the difference that is granted an estimator: none, except to BERT."""
    return BERT_TOLERANCE if estimator.startswith("waterflow.estimators.bert.") else EXACT


def compare_numbers(
    prefix: str, recorded: Mapping[str, float], again: Mapping[str, float], tolerance: float
) -> list[Compared]:
    """Compare metrics by name; one that only one side has does not agree."""
    lines = []
    for name in sorted({*recorded, *again}):
        then, now = recorded.get(name), again.get(name)
        apart = None if then is None or now is None else _distance(then, now)
        lines.append(
            Compared(
                what=f"{prefix} {name}",
                recorded="–" if then is None else repr(then),
                again="–" if now is None else repr(now),
                difference=None if apart is None else _finite(apart),
                agrees=apart is not None and apart <= tolerance,
            )
        )
    return lines


def compare_texts(prefix: str, recorded: Mapping[str, str], again: Mapping[str, str]) -> list[Compared]:
    """Compare parameters by name and text."""
    return [
        Compared(
            what=f"{prefix} {name}",
            recorded=recorded.get(name, "–"),
            again=again.get(name, "–"),
            agrees=recorded.get(name) == again.get(name),
        )
        for name in sorted({*recorded, *again})
    ]


def compare_rows(recorded: pd.DataFrame, again: pd.DataFrame, tolerance: float) -> Rows:
    """Compare predictions row by row: numbers and probabilities within the tolerance, classes for equality.

    Both tables are those of `refit.frame_of`. Where a tolerance is granted and there are probabilities, they alone
    decide: a class turns over where two are as good as equal.
    """
    if list(recorded.columns) != list(again.columns) or recorded["row"].tolist() != again["row"].tolist():
        both = recorded.merge(again, on="row", how="outer", suffixes=("_recorded", "_again"))
        return Rows(len(recorded), both, None)
    probabilities = [name for name in recorded.columns if name.startswith("probability_")]
    is_number = pd.api.types.is_float_dtype(recorded["prediction"])
    numbers = probabilities + (["prediction"] if is_number else [])
    apart = np.zeros(len(recorded))
    for name in numbers:
        apart = np.maximum(apart, _distances(recorded[name], again[name]))
    differs = ~(apart <= tolerance)
    if not is_number and not (tolerance and probabilities):
        differs |= (recorded["prediction"] != again["prediction"]).to_numpy()
    both = recorded.merge(again, on="row", suffixes=("_recorded", "_again"))
    return Rows(len(recorded), both[differs].reset_index(drop=True), _finite(apart.max(initial=0.0)))


def _distances(then: pd.Series, now: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    first, second = then.to_numpy(dtype=float), now.to_numpy(dtype=float)
    with np.errstate(invalid="ignore"):
        apart = np.abs(first - second)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _distance(then: float, now: float) -> float:
    return float(_distances(pd.Series([then]), pd.Series([now]))[0])
