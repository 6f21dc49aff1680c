"""Confusion matrices that stay readable however many classes there are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.scoring.metrics import Predicted

OTHERS = "(others)"
MOST_IN_FILE = 100


@dataclass(frozen=True)
class Confusion:
    """Rows by actual and predicted class. `merged` classes, the rarest, are counted together as ``(others)``."""

    names: list[str]
    counts: NDArray[np.int64]
    merged: int

    @property
    def shares(self) -> NDArray[np.float64]:
        """Return the counts as shares of each actual class. They go from 0 to 1."""
        return np.asarray(self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1))

    @property
    def note(self) -> str:
        """Say which classes are shown; empty where all are."""
        shown = len(self.names) - 1
        return f"the {shown} most frequent of {shown + self.merged} classes" if self.merged else ""

    def to_json(self) -> dict[str, Any]:
        """Return plain types. `matrix[i][j]` rows of `classes[i]` were predicted as `classes[j]`."""
        return {"classes": self.names, "matrix": self.counts.tolist(), **({"note": self.note} if self.note else {})}


def count_classes(predicted: Predicted, most: int = MOST_IN_FILE) -> Confusion:
    """Count rows by actual and predicted class. At most `most` classes are kept."""
    columns = [np.asarray(values, dtype=object) for values in (predicted.truth, predicted.prediction)]
    codes, classes = pd.factorize(np.concatenate(columns), use_na_sentinel=False)
    ranked = np.argsort(-np.bincount(codes), kind="stable")
    chosen = ranked if len(classes) <= most else ranked[: most - 1]
    shown = sorted(chosen.tolist(), key=lambda code: _in_order(classes[code]))
    merged = len(classes) - len(shown)
    names = [str(classes[code]) for code in shown] + [OTHERS] * bool(merged)
    places = np.full(len(classes), len(shown))
    places[shown] = np.arange(len(shown))
    actual, called = np.split(places[codes], 2)
    counts = np.bincount(actual * len(names) + called, minlength=len(names) ** 2)
    return Confusion(names, counts.reshape(len(names), len(names)), merged)


def _in_order(value: object) -> tuple[bool, float, str]:
    """Sort numbers by value, before everything else by its text."""
    is_number = isinstance(value, int | float)
    return (False, float(value), "") if is_number else (True, 0.0, str(value))  # type: ignore[arg-type]
