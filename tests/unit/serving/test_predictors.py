import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from waterflow.records.serving import FeatureColumn
from waterflow.serving.predictors import PipelinePredictor

FEATURES = (FeatureColumn(name="a", kind="number"), FeatureColumn(name="b", kind="integer"))
ROWS = pd.DataFrame({"a": [0.0, 1.0, 2.0, np.nan], "b": [1, 0, 1, 0]})


def test_a_classifier_answers_labels_and_probabilities_by_class() -> None:
    """Columns of plain values give what the pipeline gives for the same frame; None is a null."""
    fitted = make_pipeline(SimpleImputer(), LogisticRegression()).fit(ROWS, ["no", "no", "yes", "yes"])
    scores = PipelinePredictor(fitted, FEATURES).predict({"a": [0.0, None], "b": [1, 0]})
    asked = pd.DataFrame({"a": [0.0, np.nan], "b": [1, 0]})
    assert scores.labels == fitted.predict(asked).tolist()
    assert scores.classes == ("no", "yes")
    assert scores.probabilities is not None
    np.testing.assert_array_equal(scores.probabilities, fitted.predict_proba(asked))


def test_a_regression_answers_plain_numbers_alone() -> None:
    """There are no probabilities, and the numbers are Python's."""
    fitted = make_pipeline(SimpleImputer(), LinearRegression()).fit(ROWS, [1.0, 2.0, 3.0, 4.0])
    scores = PipelinePredictor(fitted, FEATURES).predict({"a": [1.0], "b": [0]})
    assert scores.probabilities is None
    assert type(scores.labels[0]) is float
