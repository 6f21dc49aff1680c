"""Judging parameters on rows outside the holdout: on the validation rows, or on each fold in turn."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pandas as pd

from waterflow.config.estimators import build_estimator
from waterflow.config.schema import PipelineConfig
from waterflow.errors import FitError
from waterflow.estimators.label_encoded import bare
from waterflow.scoring.metrics import Predicted, headline, predict_rows, score_rows
from waterflow.training.fitting import Division, Model, Rows, divide, fit_model, named, quiet
from waterflow.training.parallelism import given_threads, is_single_threaded, limited_threads, useful_threads

Report = Callable[[int, float], None]


@dataclass(frozen=True)
class Attempt:
    """What one choice of parameters scored: `scores` by metric, and `rounds` of boosting, for each division.

    `model` is the fitted estimator where there is one division only, and it was fitted in this process.
    """

    scores: tuple[dict[str, float], ...]
    rounds: tuple[int | None, ...]
    model: Model | None = None

    @property
    def means(self) -> dict[str, float]:
        """Every metric that is defined in each division, as its mean over them."""
        return {name: statistics.fmean(values) for name, values in self._columns().items()}

    @property
    def spread(self) -> dict[str, float]:
        """The sample standard deviation over the divisions (n - 1 in the denominator); empty for a single one."""
        if len(self.scores) < 2:
            return {}
        return {name: statistics.stdev(values) for name, values in self._columns().items()}

    @property
    def mean_rounds(self) -> int | None:
        """The mean number of rounds after which boosting stopped, rounded; None where nothing was watched."""
        known = [count for count in self.rounds if count is not None]
        return round(statistics.fmean(known)) if known else None

    def _columns(self) -> dict[str, list[float]]:
        defined = [name for name in self.scores[0] if all(name in scores for scores in self.scores)]
        return {name: [scores[name] for scores in self.scores] for name in defined}


def cut_folds(rows: Rows, in_time: bool) -> Iterator[tuple[Rows, Rows]]:
    """Cut rows into what each fold learns from and is judged by, in the folds' order.

    A fold is judged by a model of all other rows; in time, of the earlier folds' rows only.
    """
    assert rows.folds is not None
    folds = rows.folds.to_numpy()
    for number in sorted(set(folds[folds > 0].tolist())):
        learnt, judged = (folds < number if in_time else folds != number), folds == number
        yield (
            Rows(rows.features[learnt], rows.target[learnt]),
            Rows(rows.features[judged], rows.target[judged]),
        )


def divisions_of(config: PipelineConfig, candidate: str, train: Rows, validation: Rows | None) -> list[Division]:
    """Put rows through a preprocessor for each pair to learn from and to judge by, once for all parameters to come."""
    if validation is not None:
        return [divide(config, candidate, train, validation)]
    return [divide(config, candidate, *pair) for pair in cut_folds(train, config.split_kind == "time")]


def judge(
    config: PipelineConfig,
    candidate: str,
    divisions: Sequence[Division],
    params: Mapping[str, Any],
    *,
    threads: int = 1,
    workers: int = 1,
    report: Report = lambda number, mean: None,
) -> Attempt:
    """Fit and score one choice of parameters on each division; call it inside `quiet`.

    `workers` divisions go beside one another, each on `threads`. `report` hears the number of divisions so far and
    the main metric's mean over them, and may end the attempt by raising. Raises FitError when a fit fails or the
    main metric is undefined.
    """
    models: list[Model] = []
    scores: list[dict[str, float]] = []

    def attempt(division: Division) -> tuple[Model, dict[str, float]]:
        model = fit_model(config, candidate, division, params, threads)
        return model, score_model(config, candidate, model, division, threads)

    with ThreadPoolExecutor(workers) as pool:
        for model, scored in pool.map(attempt, divisions) if workers > 1 else map(attempt, divisions):
            models.append(model)
            scores.append(scored)
            report(len(scores), statistics.fmean(entry[config.metrics.main] for entry in scores))
    return Attempt(
        scores=tuple(scores),
        rounds=tuple(model.rounds for model in models),
        model=models[0] if len(models) == 1 else None,
    )


def judge_usual(config: PipelineConfig, candidate: str, divisions: Sequence[Division], threads: int) -> Attempt:
    """Judge a candidate's parameters as its YAML has them, on all cores."""
    estimator = build_estimator(config.candidates[candidate], config.seed, f"candidates.{candidate}")
    threads = useful_threads(threads, len(divisions[0].learnt_target))
    workers = min(threads if is_single_threaded(estimator) else 1, len(divisions))
    with quiet(), limited_threads(threads):
        return judge(config, candidate, divisions, {}, threads=threads // workers, workers=workers)


def score_model(
    config: PipelineConfig, candidate: str, model: Model, division: Division, threads: int
) -> dict[str, float]:
    """Score a fitted estimator on the rows to judge by; raises FitError as `judge` does."""
    assert division.judged_target is not None
    with given_threads(bare(model.estimator), threads):
        _, scores = predict_and_score(config, candidate, model.estimator, division.judged, division.judged_target)
    return scores


def predict_and_score(
    config: PipelineConfig, candidate: str, fitted: Any, features: Any, target: pd.Series
) -> tuple[Predicted, dict[str, float]]:
    """Let a fitted estimator or pipeline predict rows, and score what it says.

    One that cannot predict, predicts no numbers or leaves the main metric undefined has failed as well: FitError.
    """
    with named(candidate, "predicting"):
        predicted = predict_rows(fitted, features, target, config.task)
        scores = score_rows(predicted, config.task, config.costs)
    _check_main_metric(config, candidate, scores)
    return predicted, scores


def _check_main_metric(config: PipelineConfig, candidate: str, scores: Mapping[str, float]) -> None:
    if not math.isfinite(scores.get(config.metrics.main, math.nan)):
        raise FitError(
            f"candidates.{candidate}: metrics.main {config.metrics.main!r} is undefined for it "
            f"(defined: {', '.join(headline(dict(scores)))}); "
            "choose another main metric, or an estimator that gives probabilities"
        )
