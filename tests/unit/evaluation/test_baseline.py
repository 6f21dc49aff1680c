import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as skm
from support.projects import config_of

from waterflow.evaluation.baseline import predict_baseline, shortest_half


def test_random_labels_have_the_macro_f1_that_noise_has() -> None:
    """One over the number of classes: more than any constant, and no less than models that know nothing."""
    truth = pd.Series(np.random.default_rng(0).integers(0, 3, 6000))
    config = config_of(metrics={"main": "f1_macro"})
    assert config.baseline == "stratified"
    scores = [
        skm.f1_score(truth, predict_baseline(rule, truth, truth, config).prediction, average="macro")
        for rule in ("stratified", "most_frequent")
    ]
    assert scores == pytest.approx([1 / 3, 1 / 6], abs=0.02)


@pytest.mark.parametrize(("miss", "called"), [(50, 1), (5, 0)])
def test_the_cheapest_class_is_always_called(miss: float, called: int) -> None:
    """The alarm where misses are dear, silence where they are not."""
    truth = pd.Series(np.arange(1000) % 10 == 0).astype(int)
    config = config_of(metrics={"main": "expected_cost"}, costs={"positive": 1, "miss": miss, "false_alarm": 1})
    assert config.baseline == "cheapest"
    predicted = predict_baseline("cheapest", truth, truth, config)
    assert set(predicted.prediction) == {called}
    assert predicted.probabilities[0] == pytest.approx([0.9, 0.1])


@pytest.mark.parametrize(("metric", "rule"), [("rmse", "mean"), ("mae", "median"), ("median_ae", "shortest_half")])
def test_the_default_constant_is_the_best_for_its_metric(metric: str, rule: str) -> None:
    """On skewed values no other constant has a smaller error."""
    values = pd.Series(np.exp(np.random.default_rng(1).normal(size=501)) * 10)
    config = config_of(task="regression", metrics={"main": metric})
    assert config.baseline == rule
    error = {
        "rmse": skm.root_mean_squared_error,
        "mae": skm.mean_absolute_error,
        "median_ae": skm.median_absolute_error,
    }[metric]
    best = min(error(values, np.full(501, constant)) for constant in np.linspace(0, 60, 601))
    assert error(values, predict_baseline(rule, values, values, config).prediction) <= best + 0.05


def test_the_shortest_half_is_where_values_lie_close() -> None:
    """Four of seven values between 1 and 2."""
    assert shortest_half(np.array([1.0, 1.2, 1.5, 2.0, 9.0, 20.0, 40.0])) == 1.5
