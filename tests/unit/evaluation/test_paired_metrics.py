import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as skm
from support.paired_predictions import labelled, numbers, random_numbers, random_scored, scored

from waterflow.config.metrics import METRICS
from waterflow.config.schema import CostsConfig
from waterflow.evaluation.bootstrap import Units, draw_row_weights
from waterflow.evaluation.paired_metrics import Pair, UndefinedError, prepare_metric

ORACLES = {
    "accuracy": lambda p, w: skm.accuracy_score(p.truth, p.prediction, sample_weight=w),
    "balanced_accuracy": lambda p, w: skm.balanced_accuracy_score(p.truth, p.prediction, sample_weight=w),
    "precision_macro": lambda p, w: skm.precision_score(
        p.truth, p.prediction, average="macro", zero_division=0, sample_weight=w
    ),
    "recall_macro": lambda p, w: skm.recall_score(
        p.truth, p.prediction, average="macro", zero_division=0, sample_weight=w
    ),
    "f1_macro": lambda p, w: skm.f1_score(p.truth, p.prediction, average="macro", zero_division=0, sample_weight=w),
    "log_loss": lambda p, w: skm.log_loss(p.truth, p.probabilities, sample_weight=w),
    "roc_auc": lambda p, w: np.mean(
        [skm.roc_auc_score(p.truth == k, p.probabilities[:, k], sample_weight=w) for k in _positives(p)]
    ),
    "average_precision": lambda p, w: np.mean(
        [skm.average_precision_score(p.truth == k, p.probabilities[:, k], sample_weight=w) for k in _positives(p)]
    ),
    "mae": lambda p, w: skm.mean_absolute_error(p.truth, p.prediction, sample_weight=w),
    "median_ae": lambda p, w: np.median(np.repeat(np.abs(p.truth - p.prediction), w.astype(int))),
    "rmse": lambda p, w: skm.root_mean_squared_error(p.truth, p.prediction, sample_weight=w),
    "r2": lambda p, w: skm.r2_score(p.truth, p.prediction, sample_weight=w),
}


def _positives(predicted: object) -> list[int]:
    return [1] if len(predicted.classes) == 2 else list(range(len(predicted.classes)))  # type: ignore[attr-defined]


def pair_for(metric: str, classes: int, groups: int | None = None) -> Pair:
    """Draw a pair that the metric is defined on."""
    return (
        random_numbers(60, groups=groups)
        if METRICS[metric].task == "regression"
        else random_scored(60, classes, groups=groups)
    )


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", sorted(ORACLES))
def test_a_metric_on_the_rows_is_scikit_learns(metric: str, classes: int) -> None:
    """Both models' values agree with the definition that the tables use."""
    pair = pair_for(metric, classes)
    expected = [ORACLES[metric](predicted, np.ones(60)) for predicted in (pair.challenger, pair.champion)]
    assert prepare_metric(pair, metric).observed == pytest.approx(expected)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", sorted(set(ORACLES) - {"median_ae"}))
def test_an_influence_is_the_change_with_a_rows_weight(metric: str, classes: int) -> None:
    """Times the number of rows; it is what scikit-learn's weighted metric changes by."""
    pair, step = pair_for(metric, classes), 1e-4
    influence = prepare_metric(pair, metric).influence
    assert influence.sum(axis=0) == pytest.approx([0, 0], abs=1e-4)
    for row in (0, 7, 31):
        for place, predicted in enumerate((pair.challenger, pair.champion)):
            more, less = np.ones(60), np.ones(60)
            more[row], less[row] = 1 + step, 1 - step
            slope = (ORACLES[metric](predicted, more) - ORACLES[metric](predicted, less)) / (2 * step)
            assert influence[row, place] == pytest.approx(60 * slope, rel=1e-3, abs=1e-4)


def test_the_influences_of_a_median_have_the_spread_of_its_resamples() -> None:
    """Its density is estimated, so they agree only roughly."""
    pair = random_numbers(2000)
    metric = prepare_metric(pair, "median_ae")
    drawn = metric.resample(Units(2000), 300, np.random.default_rng(0))
    assert metric.influence.std(axis=0) / np.sqrt(2000) == pytest.approx(drawn.std(axis=0), rel=0.25)


@pytest.mark.parametrize("groups", [None, 12])
@pytest.mark.parametrize("metric", ["log_loss", "roc_auc", "average_precision", "mae", "median_ae", "rmse", "r2"])
def test_a_resample_is_the_metric_on_the_drawn_rows(metric: str, groups: int | None) -> None:
    """Drawn with the same generator, the weighted rows give what scikit-learn computes from them."""
    pair = pair_for(metric, 3, groups)
    units = Units(60, clusters=None if groups is None else pd.factorize(pair.dependence.groupings["group"])[0])
    drawn = prepare_metric(pair, metric).resample(units, 8, np.random.default_rng(5))
    weights = np.concatenate(list(draw_row_weights(units, 8, np.random.default_rng(5))))
    for values, given in zip(drawn, weights, strict=True):
        expected = [ORACLES[metric](predicted, given) for predicted in (pair.challenger, pair.champion)]
        assert values == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro"])
def test_a_metric_of_counts_is_resampled_like_rows(metric: str) -> None:
    """Multinomial counts have the mean and the spread that drawing rows has."""
    pair = random_scored(80, 3)
    drawn = prepare_metric(pair, metric).resample(Units(80), 20_000, np.random.default_rng(1))
    weights = np.concatenate(list(draw_row_weights(Units(80), 200, np.random.default_rng(2))))
    expected = np.array([ORACLES[metric](pair.challenger, given) for given in weights])
    assert drawn[:, 0].mean() == pytest.approx(expected.mean(), abs=5 * expected.std() / np.sqrt(200))
    assert drawn[:, 0].std() == pytest.approx(expected.std(), rel=0.2)


def test_groups_are_counted_whole() -> None:
    """Each resample of a metric of counts is one of those that drawing whole groups can give."""
    truth = np.array([0, 1, 0, 1, 1, 0])
    pair = labelled(truth, [0, 1, 0, 1, 0, 1], [0, 1, 1, 0, 1, 0])
    units = Units(6, clusters=np.array([0, 0, 1, 1, 2, 2]))
    drawn = prepare_metric(pair, "accuracy").resample(units, 500, np.random.default_rng(0))
    assert set(np.round(drawn[:, 0], 6)) == {0.0, 0.333333, 0.666667, 1.0}


def test_expected_cost_weighs_misses_and_false_alarms() -> None:
    """By hand: one false alarm at 1 and one miss at 5 on four rows are 1.5 a row."""
    pair = labelled([0, 0, 1, 1], [1, 0, 0, 1], [0, 0, 1, 1], costs=CostsConfig(false_alarm=1, miss=5))
    assert prepare_metric(pair, "expected_cost").observed.tolist() == [1.5, 0.0]


def test_labels_of_different_types_are_different() -> None:
    """A champion that says '1' is not right where the truth is 1."""
    pair = labelled([0, 1, 0, 1], [0, 1, 0, 1], ["0", "1", "0", "1"])
    assert prepare_metric(pair, "accuracy").observed.tolist() == [1.0, 0.0]


def test_a_class_that_one_model_never_saw_leaves_its_log_loss_undefined() -> None:
    """It gives that class no probability, which is not the same as zero."""
    pair = random_scored(30, 3)
    poorer = scored(pair.truth[pair.truth < 2], *(np.ones((int((pair.truth < 2).sum()), 2)) / 2,) * 2).champion
    kept = pair.take(pair.truth < 2)
    changed = Pair("classification", kept.challenger, poorer)
    prepare_metric(changed, "log_loss")
    unknown = Pair(
        "classification", pair.challenger, pair.champion.__class__(pair.truth, pair.truth, (0, 1), np.ones((30, 2)) / 2)
    )
    with pytest.raises(UndefinedError, match="never saw class 2"):
        prepare_metric(unknown, "log_loss")


def test_an_area_of_a_single_class_is_undefined() -> None:
    """There is no pair of rows to put in order."""
    pair = random_scored(40, 2)
    with pytest.raises(UndefinedError, match="true classes"):
        prepare_metric(pair.take(pair.truth == 1), "roc_auc")


def test_r2_of_a_constant_is_undefined() -> None:
    """Without spread there is nothing to explain."""
    with pytest.raises(UndefinedError, match="same true value"):
        prepare_metric(numbers([1.0, 1.0], [1.0, 2.0], [1.0, 1.0]), "r2")
