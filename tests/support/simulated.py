"""Pairs of models with planted predictions, sent through the step `evaluate` on a real MLflow and a real store."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

from support.planted import Replay, ReplayScores, log_model, make_champion, plant
from support.projects import candidates, request_of, write_pipeline, write_rows
from waterflow.promotion import champion_comparison
from waterflow.promotion.opponents import Holdout, load_holdout
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Verdict
from waterflow.records.training import Trained
from waterflow.resources import Resources
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.tracking.tags import EVALUATED_KEY

ALPHA = 0.05
SCORED = ("roc_auc", "average_precision", "f1_macro", "accuracy", "expected_cost", "log_loss")
Sample = tuple[np.ndarray, np.ndarray, np.ndarray]  # the true values, and what challenger and champion predict


@dataclass(frozen=True)
class Kind:
    """A kind of holdout: its rows, and `draw(generator, rows, gain)`, a sample of truth and both models' predictions.

    Predictions are labels, probabilities of the second class where `scored`, or numbers. `gain` is the advantage of the
    challenger. The first of `metrics` decides.
    """

    name: str
    rows: pd.DataFrame
    draw: Callable[[np.random.Generator, pd.DataFrame, float], Sample]
    metrics: tuple[str, ...] = ("f1_macro", "accuracy")
    scored: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """A prepared run with a planted challenger, and a planted champion of an earlier run on the same rows."""

    kind: Kind
    prepared: Prepared
    challenger: Trained
    folder: Path
    resources: Resources
    patch: pytest.MonkeyPatch

    def evaluate_pair(self, generator: np.random.Generator, gain: float) -> Verdict:
        """Plant new true values and predictions of both models and send them through `evaluate`."""
        truth, *predictions = self.kind.draw(generator, self.kind.rows, gain)
        for name, predicted in zip(("challenger", "champion"), predictions, strict=True):
            plant(self.folder / f"{name}.npy", predicted)
        holdout = self.holdout()
        sampled = replace(holdout, frame=holdout.frame.assign(target=truth[holdout.frame["row"]]))
        # A new sample has other true values; the stored rows would keep one sample's shares of the classes.
        self.patch.setattr(champion_comparison, "load_holdout", lambda prepared, resources: sampled)
        verdict = evaluate(self.prepared, [self.challenger], self.resources).verdict
        # The models keep their names while their predictions change, so the cache must not know this verdict.
        self.resources.runs.client.delete_tag(self.prepared.parent_run_id, EVALUATED_KEY)
        assert verdict is not None
        return verdict

    def holdout(self) -> Holdout:
        """Read the prepared rows."""
        return load_holdout(self.prepared, self.resources)


def balanced(rows: int = 1500) -> Kind:
    """Two classes of equal size, every fifth call wrong."""
    return Kind("balanced", _rows(rows), _by_class(0.5, (0.2, 0.2)))


def imbalanced(rows: int = 5000) -> Kind:
    """Three positives in a hundred, of which four in ten are missed, and one false alarm in a hundred."""
    return Kind("imbalanced", _rows(rows), _by_class(0.03, (0.01, 0.4)))


def opposed(rows: int = 2000) -> Kind:
    """A cautious and a bold model whose accuracies are equal only at a prevalence of one half."""

    def draw(generator: np.random.Generator, rows: pd.DataFrame, gain: float) -> Sample:
        truth = (generator.random(len(rows)) < 0.5).astype(int)
        cautious, bold = (0.0, 0.1 + 0.9 * gain), (0.85, 0.95)
        return truth, *(
            (generator.random(len(rows)) < np.asarray(rates)[truth]).astype(int) for rates in (cautious, bold)
        )

    return Kind("opposed", _rows(rows), draw, ("accuracy",))


def few_positives(held_out: int) -> Kind:
    """So many positives among 500 held-out rows; both models' scores know something of the class."""
    rows = _rows(2500).assign(target=lambda frame: (frame["row"] % 500 < held_out).astype(int))

    def draw(generator: np.random.Generator, rows: pd.DataFrame, gain: float) -> Sample:
        truth = rows["target"].to_numpy()
        return truth, *(expit(generator.normal(size=len(rows)) + truth * (1 + better) - 2) for better in (2 * gain, 0))

    split = {"split": {"kind": "stratified"}, "promotion": {"alpha": ALPHA, "resamples": 500, "reuse": "ignore"}}
    return Kind(f"positives_{held_out}", rows, draw, ("roc_auc", "average_precision"), scored=True, settings=split)


def grouped(groups: int = 300) -> Kind:
    """Groups of 5 to 30 rows, in which a model is good or bad at a whole group; every fifth one is held out."""
    sizes = np.random.default_rng(1).integers(5, 31, size=groups)
    rows = _rows(int(sizes.sum())).assign(patient=np.repeat(np.arange(groups), sizes))

    def draw(generator: np.random.Generator, rows: pd.DataFrame, gain: float) -> Sample:
        truth = (generator.random(len(rows)) < 0.4).astype(int)
        calls = []
        for better in (gain, 0):
            error = generator.beta(1.0, 3.0, size=groups)[rows["patient"]] * (1 - better)
            calls.append(np.where(generator.random(len(rows)) < error, 1 - truth, truth))
        return truth, calls[0], calls[1]

    return Kind(f"grouped_{groups}", rows, draw, settings={"group": "patient"})


def dated(
    days: int,
    shared: float,
    memory: float = 0.0,
    *,
    unequal: float = 0.0,
    groups: int = 0,
    numbers: bool = False,
) -> Kind:
    """So many days of 40 held-out rows, in which models have good and bad days.

    `shared` is the intraclass correlation of a model's quality within a day, and within one of `groups` crossed with
    the days; `memory` its autocorrelation from day to day. `unequal` days differ in size by a lognormal factor.
    """
    sizes = 80 * np.random.default_rng(2).lognormal(0, unequal, size=days)
    day = np.repeat(np.arange(days), np.maximum(sizes.astype(int), 2))
    times = pd.to_timedelta(day, unit="D") + pd.to_timedelta(_within(day), unit="s")
    when = pd.Timestamp("2023-01-01", tz="UTC") + times
    rows = _rows(len(day)).assign(when=when, site=np.random.default_rng(3).integers(0, max(groups, 1), len(day)))

    def quality(generator: np.random.Generator, sites: pd.Series) -> np.ndarray:
        effects = generator.normal(size=days + 50)
        for place in range(1, len(effects)):
            effects[place] = memory * effects[place - 1] + np.sqrt(1 - memory**2) * effects[place]
        ways = [effects[50:][day]] + ([generator.normal(size=groups)[sites]] if groups else [])
        noise = np.sqrt(1 - shared * len(ways)) * generator.normal(size=len(day))
        return np.sqrt(shared) * np.sum(ways, axis=0) + noise

    def draw(generator: np.random.Generator, rows: pd.DataFrame, gain: float) -> Sample:
        first, second = (quality(generator, rows["site"]) for _ in range(2))
        if numbers:
            return np.zeros(len(day)), (1.5 + first) * (1 - gain / 2), 1.5 + second
        truth = (generator.random(len(day)) < 0.3).astype(int)
        return truth, *(expit((2 * truth - 1) * (0.5 + z)) for z in (first + gain, second))

    by_site = {"by": ["site"] if groups else []}
    settings: dict[str, Any] = {
        "time_column": "when",
        "split": {"kind": "hash", "test_fraction": 0.5},
        "promotion": {"alpha": ALPHA, "resamples": 500, "reuse": "ignore", "dependence": by_site},
    }
    if numbers:
        return Kind(f"numbers_{days}", rows, draw, ("rmse",), settings={**settings, "task": "regression"})
    settings["costs"] = {"false_alarm": 1, "miss": 4}
    name = f"dated_{days}_{100 * shared:.0f}_{100 * memory:.0f}_{100 * unequal:.0f}_{groups}"
    return Kind(name, rows, draw, SCORED, scored=True, settings=settings)


def make_bench(kind: Kind, resources: Resources, folder: Path, patch: pytest.MonkeyPatch) -> Bench:
    """Prepare two runs on the same rows, log a model into each and make the first one's the champion."""
    name = f"{kind.name}_{folder.name}".replace("-", "_")
    write_rows(resources.project, kind.rows, f"{name}.csv")
    is_regression = kind.settings.get("task") == "regression"
    settings: dict[str, Any] = {
        "split": {"kind": "hash"},
        "promotion": {"alpha": ALPHA, "resamples": 1000, "reuse": "ignore"},
        "metrics": {"main": kind.metrics[0], "show": list(kind.metrics)},
        **kind.settings,
    }
    write_pipeline(
        resources.project,
        name,
        dataset={"kind": "csv", "path": f"data/{name}.csv"},
        target="target",
        key=["id"],
        gate=None,
        **candidates(nb="sklearn.linear_model.Ridge" if is_regression else "sklearn.naive_bayes.GaussianNB"),
        **settings,
    )
    first, second = (prepare(request_of(name, run_id), resources) for run_id in ("first", "second"))
    example = kind.rows[["row"]].head(2)
    replay, classes = (ReplayScores if kind.scored else Replay), (None if is_regression else (0, 1))
    paths = [plant(folder / f"{role}.npy", kind.rows["target"]) for role in ("champion", "challenger")]
    models = [replay(path, classes) for path in paths]
    champion, challenger = (
        log_model(model, prepared, resources, example) for model, prepared in zip(models, (first, second), strict=True)
    )
    make_champion(champion, first, resources)
    return Bench(kind, second, challenger, folder, resources, patch)


def leave_out_pictures(patch: pytest.MonkeyPatch) -> None:
    """Draw no pictures: they decide nothing, and take as long as all the rest of the step."""
    patch.setattr("waterflow.reporting.plots.plot_winner", lambda predicted, task: {})
    patch.setattr("waterflow.reporting.plots.plot_candidates", lambda *given: _Nothing())
    patch.setattr("waterflow.reporting.verdict_report.VerdictReport.to_html", lambda report: "")


def promotions(bench: Bench, pairs: int, gain: float = 0.0, seed: int = 0) -> tuple[dict[str, int], list[Verdict]]:
    """Evaluate so many pairs: how many each metric would promote, and all verdicts.

    The main metric decides the verdict; another would promote where its interval lies above 0.
    """
    generator = np.random.default_rng((7, seed))  # other numbers than those that the rows are made of
    verdicts = [bench.evaluate_pair(generator, gain) for _ in range(pairs)]
    main = bench.kind.metrics[0]
    counts = {main: sum(verdict.outcome == "promote" for verdict in verdicts)}
    for name in bench.kind.metrics[1:]:
        counts[name] = sum(entry.metric == name and entry.low > 0 for verdict in verdicts for entry in verdict.metrics)
    return counts, verdicts


def most_by_chance(pairs: int, rate: float = ALPHA, doubt: float = 0.001) -> int:
    """Return the number that a promotion rate of `rate` exceeds in `doubt` of all cases."""
    return int(stats.binom.isf(doubt, pairs, rate))


def fewest_by_chance(pairs: int, rate: float, doubt: float = 0.005) -> int:
    """Return the number that a rate of `rate` stays below in `doubt` of all cases."""
    return int(stats.binom.ppf(doubt, pairs, rate))


def detectable_gain(bench: Bench, difference: float, draws: int = 200) -> float:
    """Find the gain for which the F1 on the holdout is better by `difference` on average."""
    generator, held_out = np.random.default_rng(9), bench.holdout().rows["row"].to_numpy()

    def mean_difference(gain: float) -> float:
        scores = []
        for _ in range(draws):
            truth, *calls = bench.kind.draw(generator, bench.kind.rows, gain)
            scores.append([_macro_f1(truth[held_out], model[held_out]) for model in calls])
        first, second = np.mean(scores, axis=0)
        return float(first - second)

    low, high = 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_difference(middle) < difference else (low, middle)
    return (low + high) / 2


class _Nothing:
    def savefig(self, path: Path, dpi: int) -> None:
        """Write an empty file."""
        path.write_bytes(b"")


def _rows(count: int) -> pd.DataFrame:
    return pd.DataFrame({"id": np.arange(count), "row": np.arange(count), "target": np.arange(count) % 2})


def _within(day: np.ndarray) -> np.ndarray:
    """Number the rows of each day, so that every row has a time of its own."""
    return pd.Series(day).groupby(day).cumcount().to_numpy()


def _by_class(positives: float, rates: tuple[float, float]) -> Callable[..., Sample]:
    def draw(generator: np.random.Generator, rows: pd.DataFrame, gain: float) -> Sample:
        truth = (generator.random(len(rows)) < positives).astype(int)
        wrong = [generator.random(len(rows)) < np.asarray(rates)[truth] * (1 - better) for better in (gain, 0)]
        return truth, np.where(wrong[0], 1 - truth, truth), np.where(wrong[1], 1 - truth, truth)

    return draw


def _macro_f1(truth: np.ndarray, calls: np.ndarray) -> float:
    scores = []
    for name in (0, 1):
        hits = np.sum((truth == name) & (calls == name))
        scores.append(2 * hits / max(np.sum(truth == name) + np.sum(calls == name), 1))
    return float(np.mean(scores))
