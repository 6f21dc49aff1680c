import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as skm
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import SVC

from waterflow.config.catalog import METRICS, metrics_of
from waterflow.data.packaged import iris
from waterflow.modeling.metrics import Predicted, confusion, headline, predict_rows, score_rows

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
        "log_loss": skm.log_loss(truth, chances),
    }
    assert headline(scores) == pytest.approx(expected)
    assert list(expected) == metrics_of("classification")
    assert scores["recall.virginica"] == pytest.approx(
        skm.recall_score(truth, called, labels=["virginica"], average="macro")
    )


def test_scores_of_two_classes_are_those_of_scikit_learn() -> None:
    """With two classes, ROC AUC is about the second one in order."""
    two = ROWS["species"] != "setosa"
    truth = ROWS.loc[two, "species"] == "virginica"
    model = LogisticRegression(C=0.001).fit(X.loc[two, ["sepal_width_cm"]], truth)
    chances = model.predict_proba(X.loc[two, ["sepal_width_cm"]])[:, 1]
    predicted = predict_rows(model, X.loc[two, ["sepal_width_cm"]], truth, "classification")
    scores = score_rows(predicted, "classification")
    assert scores["roc_auc"] == pytest.approx(skm.roc_auc_score(truth, chances))
    assert 0.5 < scores["roc_auc"] < 0.9


def test_scores_of_numbers_are_those_of_scikit_learn() -> None:
    """The regression's metrics have the values of scikit-learn's functions."""
    features, target = X.drop(columns="petal_width_cm"), X["petal_width_cm"]
    model = LinearRegression().fit(features[TRAIN], target[TRAIN])
    called = model.predict(features[TEST])
    scores = score_rows(predict_rows(model, features[TEST], target[TEST], "regression"), "regression")
    assert scores == pytest.approx(
        {
            "mae": skm.mean_absolute_error(target[TEST], called),
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
    assert "roc_auc" not in scores
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
    assert set(score_rows(Predicted(np.array([1.0]), np.array([2.0])), "regression")) == {"mae", "rmse"}


def test_the_confusion_matrix_counts_truth_by_row() -> None:
    """`matrix[i][j]` rows of class i were called j."""
    predicted = Predicted(np.array(["a", "a", "b"]), np.array(["a", "b", "b"]), classes=("a", "b"))
    assert confusion(predicted) == {"classes": ["a", "b"], "matrix": [[1, 1], [0, 1]]}


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
