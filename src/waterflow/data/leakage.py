"""Features that reveal the target on their own. Most often they were recorded after the outcome."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from waterflow.config.metrics import Task
from waterflow.data.columns import to_floats, to_times, type_of

SUSPICIOUS = 0.99
MOST_ROWS = 20_000  # an area is known to a few thousandths by then, and fifty columns take half a second
FEWEST_ROWS = 30
FEWEST_OF_A_CLASS = 5
MOST_CLASSES = 10
FEW_VALUES = 10
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Leak:
    """A column that alone separates the target. `score` says how well: from 0.99, exclusive, to 1."""

    column: str
    score: float


def find_leaks(features: pd.DataFrame, target: pd.Series, task: Task, seed: int = 0) -> tuple[Leak, ...]:
    """Return the columns that predict the target almost perfectly.

    Each does so on its own; the worst comes first. A column's score is the area under the ROC curve, by ranks (Hanley &
    McNeil, Radiology 143, 1982), in the better direction; of several classes, the mean of each one against the rest.
    For a regression it is the absolute rank correlation (Spearman, 1904). Numbers and times rank by value. Categories,
    and numbers with few values, rank by the mean of the target in one half of the rows (Micci-Barreca, SIGKDD
    Explorations 3, 2001) and are scored on the other half, so that an identifier, which says nothing about other rows,
    is no leak. Missingness is scored as a feature too. Uses at most 20,000 rows, drawn by `seed`.
    """
    chance = np.random.default_rng(seed)
    chosen = np.sort(chance.permutation(len(target))[:MOST_ROWS])
    rows, truth = features.iloc[chosen], _truth(target.iloc[chosen], task)
    learns = chance.random(len(chosen)) < 0.5
    scores = {name: max(_scores(rows[name], truth, learns, task), default=0.0) for name in rows.columns}
    leaks = [Leak(str(name), score) for name, score in scores.items() if score > SUSPICIOUS]
    return tuple(sorted(leaks, key=lambda leak: -leak.score))


def _truth(target: pd.Series, task: Task) -> Floats:
    """Return what columns are scored on, shape (rows, targets). These are numbers, or membership in each main class."""
    if task == "regression":
        return target.to_numpy(float)[:, np.newaxis]
    codes, names = pd.factorize(target)
    common = np.argsort(-np.bincount(codes), kind="stable")[:MOST_CLASSES]
    targets = common[:1] if len(names) == 2 else common  # two classes need one score
    return (codes[:, np.newaxis] == targets).astype(float)


def _scores(column: pd.Series, truth: Floats, learns: NDArray[np.bool_], task: Task) -> Iterator[float]:
    missing = column.isna().to_numpy()
    if missing.any():
        yield _separation(missing.astype(float), truth, task)
    kind = type_of(column)
    if kind != "categorical":
        values = column[~missing]
        values = to_floats(to_times(values).astype("int64") if kind == "datetime" else values)
        yield _separation(values.to_numpy(), truth[~missing], task)
    if kind == "categorical" or column.nunique() <= FEW_VALUES:
        yield _separation_by_category(column, truth, learns, task)


def _separation_by_category(column: pd.Series, truth: Floats, learns: NDArray[np.bool_], task: Task) -> float:
    """Return how well a column's categories separate the target.

    The target's mean per category is learned on one half of the rows and scored on the other half.
    """
    codes, names = pd.factorize(column, use_na_sentinel=False)
    counts = np.bincount(codes[learns], minlength=len(names))
    scores = []
    for values in truth.T:
        sums = np.bincount(codes[learns], weights=values[learns], minlength=len(names))
        # A category that the first half lacks gets the overall mean.
        means = np.divide(sums, counts, out=np.full(len(names), values[learns].mean()), where=counts > 0)
        scores.append(_separation(means[codes[~learns]], values[~learns, np.newaxis], task))
    return float(np.mean(scores))


def _separation(values: Floats, truth: Floats, task: Task) -> float:
    """Return the mean score of a column over the targets.

    The column holds numbers; with too few rows the score is 0.
    """
    if len(values) < FEWEST_ROWS:
        return 0.0
    ranks: Floats = rankdata(values)
    if task == "regression":
        return _correlation(ranks, rankdata(truth[:, 0]))
    inside = truth.sum(axis=0)
    enough = np.minimum(inside, len(values) - inside) >= FEWEST_OF_A_CLASS
    if not enough.any():
        return 0.0
    inside = inside[enough]
    areas = (ranks @ truth[:, enough] - inside * (inside + 1) / 2) / (inside * (len(values) - inside))
    return float(np.maximum(areas, 1 - areas).mean())


def _correlation(ranks: Floats, others: Floats) -> float:
    if ranks.std() == 0 or others.std() == 0:
        return 0.0
    return float(abs(np.corrcoef(ranks, others)[0, 1]))
