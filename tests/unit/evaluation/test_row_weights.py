from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as skm
from support.paired_predictions import random_numbers, random_scored
from support.projects import config_of

from waterflow.config.metrics import METRICS
from waterflow.config.schema import CostsConfig
from waterflow.evaluation.baseline import predict_baseline, shortest_half
from waterflow.evaluation.bootstrap import Units
from waterflow.evaluation.paired_metrics import Pair, prepare_metric
from waterflow.scoring.metrics import score_rows

Scorer = Callable[[Any, Any], float]
ROWS = 60
WEIGHTS = np.random.default_rng(1).integers(0, 5, ROWS) / 2.0


def _macro(score: Any) -> Scorer:
    return lambda p, w: score(p.truth, p.prediction, average="macro", zero_division=0, sample_weight=w)


def _labels(score: Any) -> Scorer:
    return lambda p, w: score(p.truth, p.prediction, sample_weight=w)


def _curve(score: Any) -> Scorer:
    return lambda p, w: float(
        np.mean([score(p.truth == k, p.probabilities[:, k], sample_weight=w) for k in range(len(p.classes))])
    )


ORACLES: dict[str, Scorer] = {
    "accuracy": _labels(skm.accuracy_score),
    "balanced_accuracy": _labels(skm.balanced_accuracy_score),
    "precision_macro": _macro(skm.precision_score),
    "recall_macro": _macro(skm.recall_score),
    "f1_macro": _macro(skm.f1_score),
    "log_loss": lambda p, w: skm.log_loss(p.truth, p.probabilities, sample_weight=w),
    "roc_auc": _curve(skm.roc_auc_score),
    "average_precision": _curve(skm.average_precision_score),
    "mae": _labels(skm.mean_absolute_error),
    "median_ae": _labels(skm.median_absolute_error),
    "rmse": _labels(skm.root_mean_squared_error),
    "r2": _labels(skm.r2_score),
}


def weighted(pair: Pair, weights: Any = WEIGHTS) -> Pair:
    """Give both models' predictions the weights."""
    models = (replace(model, weights=np.asarray(weights, dtype=float)) for model in (pair.challenger, pair.champion))
    return replace(pair, **dict(zip(("challenger", "champion"), models, strict=True)))


def pair_for(metric: str) -> Pair:
    return random_numbers(ROWS) if METRICS[metric].task == "regression" else random_scored(ROWS, 3)


@pytest.mark.parametrize("metric", sorted(ORACLES))
def test_a_weighted_metric_is_scikit_learns(metric: str) -> None:
    """In tables and in the comparison alike."""
    pair = weighted(pair_for(metric))
    expected = [ORACLES[metric](model, WEIGHTS) for model in (pair.challenger, pair.champion)]
    assert prepare_metric(pair, metric).observed == pytest.approx(expected)
    assert score_rows(pair.challenger, pair.task)[metric] == pytest.approx(expected[0])


@pytest.mark.parametrize("metric", sorted(set(ORACLES) - {"median_ae"}))
def test_a_weighted_influence_is_the_change_with_a_rows_weight(metric: str) -> None:
    """A row counts as often as it is drawn, times its weight; one without weight moves nothing."""
    pair, step = weighted(pair_for(metric)), 1e-4
    influence = prepare_metric(pair, metric).influence
    assert influence.sum(axis=0) == pytest.approx([0, 0], abs=1e-3)
    for row in (0, 7, 31, int(np.flatnonzero(WEIGHTS == 0)[0])):
        for place, model in enumerate((pair.challenger, pair.champion)):
            more, less = np.ones(ROWS), np.ones(ROWS)
            more[row], less[row] = 1 + step, 1 - step
            slope = (ORACLES[metric](model, WEIGHTS * more) - ORACLES[metric](model, WEIGHTS * less)) / (2 * step)
            assert influence[row, place] == pytest.approx(ROWS * slope, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "log_loss", "rmse", "r2"])
def test_weights_all_alike_change_nothing(metric: str) -> None:
    """Their unit does not count, not even in the resamples."""
    pair = pair_for(metric)
    metrics = [prepare_metric(entry, metric) for entry in (pair, weighted(pair, np.full(ROWS, 7.0)))]
    first, second = (entry.resample(Units(ROWS), 2000, np.random.default_rng(0)) for entry in metrics)
    assert metrics[0].observed == pytest.approx(metrics[1].observed)
    assert metrics[0].influence == pytest.approx(metrics[1].influence, abs=1e-6)
    assert first.std(axis=0) == pytest.approx(second.std(axis=0), rel=0.1)


def test_weighted_costs_are_costs_of_repeated_rows() -> None:
    """A weight of 2 is two rows."""
    pair, counts = random_scored(ROWS, 2), np.arange(ROWS) % 3
    costs = {"costs": CostsConfig(false_alarm=1, miss=5), "positive": 1}
    repeated = replace(pair.take(np.ones(ROWS, dtype=bool)), **costs)
    rows = np.repeat(np.arange(ROWS), counts)
    several = [
        replace(m, truth=m.truth[rows], prediction=m.prediction[rows], probabilities=m.probabilities[rows])
        for m in (repeated.challenger, repeated.champion)
    ]
    repeated = replace(repeated, challenger=several[0], champion=several[1])
    once = replace(weighted(pair, counts), **costs)
    assert prepare_metric(once, "expected_cost").observed == pytest.approx(
        prepare_metric(repeated, "expected_cost").observed
    )


@pytest.mark.parametrize(
    ("rule", "task"),
    [
        ("mean", "regression"),
        ("median", "regression"),
        ("shortest_half", "regression"),
        ("most_frequent", "classification"),
    ],
)
def test_a_weighted_baseline_is_that_of_repeated_rows(rule: str, task: str) -> None:
    """A weight of 3 is three rows, and one of 0 none."""
    generator = np.random.default_rng(2)
    counts = pd.Series(generator.integers(0, 4, 101))
    numbers = pd.Series(generator.gamma(2.0, size=101)) if task == "regression" else pd.Series(list("aab" * 34)[:101])
    changes = {"task": "regression", "metrics": {"main": "mae"}} if task == "regression" else {}
    if task == "regression":
        changes["candidates"] = {"ridge": {"estimator": "sklearn.linear_model.Ridge"}}
    config, target = config_of(**changes), numbers.head(3)
    repeated = numbers.repeat(counts).reset_index(drop=True)
    by_weight = predict_baseline(rule, numbers, target, config, counts.astype(float)).prediction
    by_rows = predict_baseline(rule, repeated, target, config).prediction
    if task == "regression":
        assert by_weight == pytest.approx(by_rows, rel=1e-6)
    else:
        assert by_weight.tolist() == by_rows.tolist()


def test_the_shortest_weighted_half_is_where_the_weight_lies() -> None:
    """Heavy rows lie close though most rows lie elsewhere."""
    values, weights = np.array([0.0, 0.1, 5.0, 6.0, 7.0, 8.0]), np.array([10.0, 10.0, 1.0, 1.0, 1.0, 1.0])
    assert shortest_half(values, weights) == pytest.approx(0.05)
