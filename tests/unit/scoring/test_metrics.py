import numpy as np
import pandas as pd
import pytest
from mlflow.utils.validation import _validate_metric_name
from sklearn import metrics as skm
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from support.projects import message_of

from waterflow.config.metrics import METRICS, metric_name, metrics_of
from waterflow.config.schema import CostsConfig
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, DataError
from waterflow.evaluation.comparison import compare_models
from waterflow.evaluation.paired_metrics import Pair
from waterflow.scoring.metrics import Predicted, find_positive_class, headline, predict_rows, score_rows

ROWS = iris()
X, Y = ROWS.drop(columns="species"), ROWS["species"]
TRAIN, TEST = ROWS.index % 2 == 0, ROWS.index % 2 == 1


def test_scores_of_classes_are_those_of_scikit_learn() -> None:
    """Each metric has the value that scikit-learn's own function gives."""
    model = LogisticRegression(max_iter=1000, C=0.01).fit(X[TRAIN], Y[TRAIN])
    truth, called, chances = Y[TEST], model.predict(X[TEST]), model.predict_proba(X[TEST])
    scores = score_rows(predict_rows(model, X[TEST], truth, "classification"), "classification")
    expected = {
        "accuracy": skm.accuracy_score(truth, called),
        "balanced_accuracy": skm.balanced_accuracy_score(truth, called),
        "precision_macro": skm.precision_score(truth, called, average="macro"),
        "recall_macro": skm.recall_score(truth, called, average="macro"),
        "f1_macro": skm.f1_score(truth, called, average="macro"),
        "roc_auc": skm.roc_auc_score(truth, chances, multi_class="ovr"),
        "average_precision": skm.average_precision_score(truth, chances, average="macro"),
        "log_loss": skm.log_loss(truth, chances),
    }
    assert headline(scores) == pytest.approx(expected)
    assert [*expected, "expected_cost"] == metrics_of("classification")
    assert scores["recall.virginica"] == pytest.approx(
        skm.recall_score(truth, called, labels=["virginica"], average="macro")
    )


def test_any_text_can_be_a_class() -> None:
    """MLflow refuses most signs in the name of a metric; a name stands for one label whatever others there are."""
    labels = ["<=50K", ">50K", "R&D", "R/D", "R_D", "Köln", "a:b", "n" * 300, "le 50K", "", "R_D:0123abcd"]
    named = [metric_name(label) for label in labels]
    assert named[:2] == ["le 50K", "gt 50K"]
    assert named[4:7] == ["R_D", "Köln", "a:b"]
    assert named[2].startswith("R_D:")
    assert named[7].startswith("n" * 150 + ":")
    assert len(set(named)) == len(labels)
    assert [metric_name(label) for label in reversed(labels)] == named[::-1]
    truth = np.array(labels)
    scores = score_rows(Predicted(truth, truth, tuple(labels)), "classification")
    assert [name for name in scores if name.startswith("f1.")] == [f"f1.{name}" for name in named]
    for name in scores:
        _validate_metric_name(name)


def test_scores_of_two_classes_are_those_of_scikit_learn() -> None:
    """With two classes, ROC AUC is about the second one in order."""
    two = ROWS["species"] != "setosa"
    truth = ROWS.loc[two, "species"] == "virginica"
    model = LogisticRegression(C=0.001).fit(X.loc[two, ["sepal_width_cm"]], truth)
    chances = model.predict_proba(X.loc[two, ["sepal_width_cm"]])[:, 1]
    predicted = predict_rows(model, X.loc[two, ["sepal_width_cm"]], truth, "classification")
    scores = score_rows(predicted, "classification")
    assert scores["roc_auc"] == pytest.approx(skm.roc_auc_score(truth, chances))
    assert scores["average_precision"] == pytest.approx(skm.average_precision_score(truth, chances))
    assert 0.5 < scores["roc_auc"] < 0.9


def test_average_precision_is_of_the_positive_class() -> None:
    """The declared one, where it is not the greater of the two."""
    truth = np.array([0, 0, 1, 1, 1, 0])
    chances = np.array([0.1, 0.6, 0.4, 0.8, 0.9, 0.3])
    predicted = Predicted(truth, (chances > 0.5).astype(int), (0, 1), np.column_stack([1 - chances, chances]))
    scores = score_rows(predicted, "classification", positive=0)
    assert scores["average_precision"] == pytest.approx(skm.average_precision_score(truth == 0, 1 - chances))
    assert scores["roc_auc"] == pytest.approx(skm.roc_auc_score(truth, chances))


def test_a_class_without_rows_or_calls_is_left_out_of_averages() -> None:
    """As scikit-learn does on these rows."""
    predicted = Predicted(np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0]), classes=(0, 1, 2, 3))
    scores = score_rows(predicted, "classification")
    assert scores["f1_macro"] == pytest.approx(skm.f1_score(predicted.truth, predicted.prediction, average="macro"))
    assert scores["precision_macro"] == pytest.approx(5 / 6)


def test_scores_of_numbers_are_those_of_scikit_learn() -> None:
    """The regression's metrics have the values of scikit-learn's functions."""
    features, target = X.drop(columns="petal_width_cm"), X["petal_width_cm"]
    model = LinearRegression().fit(features[TRAIN], target[TRAIN])
    called = model.predict(features[TEST])
    scores = score_rows(predict_rows(model, features[TEST], target[TEST], "regression"), "regression")
    assert scores == pytest.approx(
        {
            "mae": skm.mean_absolute_error(target[TEST], called),
            "median_ae": skm.median_absolute_error(target[TEST], called),
            "rmse": skm.mean_squared_error(target[TEST], called) ** 0.5,
            "r2": skm.r2_score(target[TEST], called),
        }
    )
    assert list(scores) == metrics_of("regression")


def test_metrics_of_probabilities_are_left_out_where_there_are_none() -> None:
    """A support vector machine says no probabilities; no number is made up."""
    model = SVC().fit(X[TRAIN], Y[TRAIN])
    scores = score_rows(predict_rows(model, X[TEST], Y[TEST], "classification"), "classification")
    assert "accuracy" in scores
    assert "log_loss" not in scores
    assert "roc_auc" not in scores


def test_roc_auc_is_left_out_where_a_class_is_missing() -> None:
    """Without both sides there is no curve; log loss is defined all the same."""
    model = LogisticRegression(max_iter=1000).fit(X[TRAIN], Y[TRAIN])
    some = TEST & (Y == "setosa")
    scores = score_rows(predict_rows(model, X[some], Y[some], "classification"), "classification")
    assert not {"roc_auc", "average_precision"} & set(scores)
    assert "log_loss" in scores


def test_a_class_that_training_never_saw_has_no_probability() -> None:
    """It counts as a miss and leaves log loss undefined."""
    known = Y != "virginica"
    model = LogisticRegression(max_iter=1000).fit(X[known], Y[known])
    scores = score_rows(predict_rows(model, X, Y, "classification"), "classification")
    assert scores["recall.virginica"] == 0
    assert "log_loss" not in scores


def test_balanced_accuracy_counts_the_classes_that_are_there() -> None:
    """A class without a row has no recall to average."""
    predicted = Predicted(np.array(["a", "a", "b"]), np.array(["a", "b", "b"]), classes=("a", "b", "c"))
    assert score_rows(predicted, "classification")["balanced_accuracy"] == pytest.approx(0.75)


def test_r2_of_one_row_is_left_out() -> None:
    """One row has no variance to explain."""
    assert set(score_rows(Predicted(np.array([1.0]), np.array([2.0])), "regression")) == {"mae", "median_ae", "rmse"}


def test_classes_may_be_numbers() -> None:
    """Labels 0 and 1 are classes like any others."""
    target = pd.Series((Y == "setosa").astype(int))
    model = LogisticRegression().fit(X, target)
    scores = score_rows(predict_rows(model, X, target, "classification"), "classification")
    assert scores["accuracy"] == 1
    assert scores["f1.1"] == 1


def test_a_lower_loss_is_better_and_a_higher_score_is() -> None:
    """Each metric knows its own direction."""
    assert METRICS["rmse"].better(1.0, 2.0)
    assert not METRICS["rmse"].better(2.0, 1.0)
    assert METRICS["accuracy"].better(0.9, 0.8)
    assert not METRICS["accuracy"].better(0.8, 0.8)


LATE = Predicted(
    truth=np.array(["late", "late", "on time", "on time", "on time"]),
    prediction=np.array(["late", "on time", "late", "on time", "on time"]),
    classes=("late", "on time"),
)


def test_the_expected_cost_is_the_mean_cost_of_the_outcomes() -> None:
    """It is scikit-learn's confusion matrix weighted by what each outcome costs, per row."""
    costs = CostsConfig(false_alarm=1, miss=5, hit=-2, correct_rejection=0.5)
    counts = skm.confusion_matrix(LATE.truth, LATE.prediction, labels=["on time", "late"])
    expected = (counts * [[0.5, 1], [5, -2]]).sum() / 5
    assert score_rows(LATE, "classification", costs, positive="late")["expected_cost"] == pytest.approx(expected)


def test_the_greater_class_is_the_positive_one_by_default() -> None:
    """Of true and false it is true; of 9 and 10 it is the number that is greater, not the text."""
    assert find_positive_class([True, False]) is True
    assert find_positive_class(np.array([10, 9])) == 10
    assert score_rows(LATE, "classification", CostsConfig(miss=5))["expected_cost"] == pytest.approx(1.0)


def test_there_is_no_expected_cost_without_costs() -> None:
    """Nobody said what an outcome costs."""
    assert "expected_cost" not in score_rows(LATE, "classification")


def test_costs_of_three_classes_are_refused() -> None:
    """False alarm and miss are words about two."""
    message = message_of(lambda: find_positive_class(Y), DataError)
    assert message.startswith(
        "costs, positive: they are about a decision between two classes, the target has 3 ('setosa'"
    )


def test_a_positive_that_is_no_class_is_refused_with_the_valid_ones() -> None:
    """The message has the value found and those of the target."""
    message = message_of(lambda: find_positive_class(["no", "yes"], True), ConfigError)
    assert message == "positive: True is not a class of the target; valid: 'no', 'yes'"


def test_costs_hold_where_the_rows_have_one_class() -> None:
    """A holdout without a late flight still has a price."""
    quiet = Predicted(np.array([False, False]), np.array([False, True]), classes=(False, True))
    assert score_rows(quiet, "classification", CostsConfig(false_alarm=4))["expected_cost"] == pytest.approx(2.0)


@pytest.mark.parametrize("kind", ["bool", "object", "str", "category", "boolean"])
def test_scores_do_not_depend_on_how_labels_are_stored(kind: str) -> None:
    """Each dtype of labels gives the scores of plain ones."""
    truth = (Y == "virginica").map(str) if kind in ("str", "category") else Y == "virginica"
    model = LogisticRegression(C=0.1).fit(X, truth)
    expected = score_rows(predict_rows(model, X, truth, "classification"), "classification")
    assert score_rows(predict_rows(model, X, truth.astype(kind), "classification"), "classification") == expected
    assert expected["precision.True"] == pytest.approx(
        skm.precision_score(truth.map(str), model.predict(X).astype(str), pos_label="True")
    )


def test_columns_are_preprocessed_once_for_labels_and_probabilities() -> None:
    """Both come from the same prepared columns."""

    class Counting(StandardScaler):
        calls = 0

        def transform(self, X: pd.DataFrame, copy: bool | None = None) -> np.ndarray:  # noqa: N803
            Counting.calls += 1
            return super().transform(X, copy=copy)

    model = make_pipeline(Counting(), LogisticRegression()).fit(X, Y)
    Counting.calls = 0
    predicted = predict_rows(model, X, Y, "classification")
    assert Counting.calls == 1
    assert np.array_equal(predicted.prediction, model.predict(X))
    assert np.array_equal(predicted.probabilities, model.predict_proba(X))


def test_probabilities_of_32_bits_are_compared_like_all_others() -> None:
    """XGBoost returns them."""
    from xgboost import XGBClassifier

    generator = np.random.default_rng(0)
    features = pd.DataFrame({"size": generator.random(6000)})
    target = pd.Series((features["size"] + generator.normal(0, 0.3, 6000) > 0.5).astype(int))
    weak, strong = (XGBClassifier(n_estimators=rounds, n_jobs=1).fit(features, target) for rounds in (1, 10))
    challenger, champion = (predict_rows(model, features, target, "classification") for model in (strong, weak))
    pair = Pair("classification", challenger, champion)
    assert compare_models(pair, "log_loss", alpha=0.05, resamples=200, seed=0).difference.low > 0
