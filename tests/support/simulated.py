"""Pairs of models with planted predictions, sent through the step `evaluate` on a real MLflow and a real store."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from support.planted import Replay, log_model, make_champion, plant
from support.projects import candidates, request_of, write_pipeline, write_rows
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Verdict
from waterflow.records.training import Trained
from waterflow.resources import Resources
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.tracking.tags import EVALUATED_KEY

ALPHA = 0.05
Draw = Callable[[np.random.Generator, pd.DataFrame, float], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """A kind of holdout: its rows, and how a model errs on them; `gain` is the share of errors that a model avoids."""

    name: str
    rows: pd.DataFrame
    err: Draw
    settings: dict[str, object]


@dataclass(frozen=True)
class Bench:
    """A prepared run with a planted challenger, and a planted champion of an earlier run on the same rows."""

    kind: Kind
    prepared: Prepared
    challenger: Trained
    folder: Path
    resources: Resources

    def judge(self, generator: np.random.Generator, gain: float) -> Verdict:
        """Plant new predictions for both models and send them through `evaluate`."""
        truth = self.kind.rows["target"].to_numpy()
        for name, avoided in (("challenger", gain), ("champion", 0.0)):
            wrong = self.kind.err(generator, self.kind.rows, avoided)
            plant(self.folder / f"{name}.npy", np.where(wrong, 1 - truth, truth))
        verdict = evaluate(self.prepared, [self.challenger], self.resources).verdict
        # The models keep their names while their predictions change, so the cache must not know this verdict.
        self.resources.runs.client.delete_tag(self.prepared.parent_run_id, EVALUATED_KEY)
        assert verdict is not None
        return verdict


def balanced(rows: int = 1500) -> Kind:
    """Two classes of equal size, every fifth call wrong."""
    return Kind("balanced", _rows(rows, 0.5), _by_class((0.2, 0.2)), {})


def imbalanced(rows: int = 5000) -> Kind:
    """Three positives in a hundred, of which four in ten are missed, and one false alarm in a hundred."""
    return Kind("imbalanced", _rows(rows, 0.03), _by_class((0.01, 0.4)), {})


def grouped(groups: int = 300) -> Kind:
    """Groups of 5 to 30 rows, in which a model is good or bad at a whole group."""
    sizes = np.random.default_rng(1).integers(5, 31, size=groups)
    rows = _rows(int(sizes.sum()), 0.4)
    return Kind("grouped", rows.assign(patient=np.repeat(np.arange(groups), sizes)), _by_group, {"group": "patient"})


def make_bench(kind: Kind, resources: Resources, folder: Path) -> Bench:
    """Prepare two runs on the same rows, log a model into each and make the first one's the champion."""
    name = f"{kind.name}_{folder.name}".replace("-", "_")
    write_rows(resources.project, kind.rows, f"{name}.csv")
    write_pipeline(
        resources.project,
        name,
        dataset={"kind": "csv", "path": f"data/{name}.csv"},
        target="target",
        split={"kind": "hash"},
        metrics={"main": "f1_macro", "show": ["accuracy"]},
        promotion={"alpha": ALPHA, "resamples": 1000},
        gate=None,
        **candidates(nb="sklearn.naive_bayes.GaussianNB"),
        **kind.settings,
    )
    first, second = (prepare(request_of(name, run_id), resources) for run_id in ("first", "second"))
    example = kind.rows[["row"]].head(2)
    models = [Replay(plant(folder / f"{role}.npy", kind.rows["target"]), (0, 1)) for role in ("champion", "challenger")]
    champion, challenger = (
        log_model(model, prepared, resources, example) for model, prepared in zip(models, (first, second), strict=True)
    )
    make_champion(champion, first, resources)
    return Bench(kind, second, challenger, folder, resources)


def leave_out_pictures(patch: pytest.MonkeyPatch) -> None:
    """Draw no pictures: they decide nothing, and take as long as all the rest of the step."""
    patch.setattr("waterflow.reporting.plots.plot_winner", lambda predicted, task: {})
    patch.setattr("waterflow.reporting.plots.plot_candidates", lambda *given: _Nothing())


def promotions(bench: Bench, pairs: int, gain: float = 0.0, seed: int = 0) -> tuple[int, list[Verdict]]:
    """Judge so many pairs: how many were promoted, and all verdicts."""
    generator = np.random.default_rng((7, seed))  # other numbers than those that the rows are made of
    verdicts = [bench.judge(generator, gain) for _ in range(pairs)]
    return sum(verdict.outcome == "promote" for verdict in verdicts), verdicts


def most_by_chance(pairs: int, rate: float = ALPHA, doubt: float = 0.005) -> int:
    """Give the number that a promotion rate of `rate` exceeds in `doubt` of all cases."""
    return int(stats.binom.isf(doubt, pairs, rate))


def fewest_by_chance(pairs: int, rate: float, doubt: float = 0.005) -> int:
    """Give the number that a rate of `rate` stays below in `doubt` of all cases."""
    return int(stats.binom.ppf(doubt, pairs, rate))


def detectable_gain(bench: Bench, difference: float, draws: int = 200) -> float:
    """Find the share of errors to avoid for which the F1 on the holdout is better by `difference` on average."""
    generator, held_out = np.random.default_rng(9), _held_out(bench)

    def mean_difference(gain: float) -> float:
        rows = bench.kind.rows
        truth = rows["target"].to_numpy()
        scores = [
            _macro_f1(truth[held_out], np.where(bench.kind.err(generator, rows, avoided), 1 - truth, truth)[held_out])
            for avoided in (gain, 0.0)
            for _ in range(draws)
        ]
        return float(np.mean(scores[:draws]) - np.mean(scores[draws:]))

    low, high = 0.0, 1.0
    for _ in range(8):
        middle = (low + high) / 2
        low, high = (middle, high) if mean_difference(middle) < difference else (low, middle)
    return (low + high) / 2


class _Nothing:
    def savefig(self, path: Path, dpi: int) -> None:
        """Write an empty file."""
        path.write_bytes(b"")


def _rows(count: int, positives: float) -> pd.DataFrame:
    target = (np.random.default_rng(0).random(count) < positives).astype(int)
    return pd.DataFrame({"row": np.arange(count), "target": target})


def _by_class(rates: tuple[float, float]) -> Draw:
    def err(generator: np.random.Generator, rows: pd.DataFrame, gain: float) -> np.ndarray:
        return generator.random(len(rows)) < np.asarray(rates)[rows["target"].to_numpy()] * (1 - gain)

    return err


def _by_group(generator: np.random.Generator, rows: pd.DataFrame, gain: float) -> np.ndarray:
    ability = generator.beta(1.0, 3.0, size=rows["patient"].max() + 1)
    return generator.random(len(rows)) < ability[rows["patient"].to_numpy()] * (1 - gain)


def _held_out(bench: Bench) -> np.ndarray:
    from waterflow.promotion.opponents import load_holdout

    return load_holdout(bench.prepared, bench.resources).rows["row"].to_numpy()


def _macro_f1(truth: np.ndarray, calls: np.ndarray) -> float:
    scores = []
    for name in (0, 1):
        hits = np.sum((truth == name) & (calls == name))
        scores.append(2 * hits / max(np.sum(truth == name) + np.sum(calls == name), 1))
    return float(np.mean(scores))
