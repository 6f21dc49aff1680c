import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline

from waterflow.records.serving import FeatureColumn
from waterflow.serving.predictors import PipelinePredictor, frame_of

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


def test_integers_stay_integers_where_training_saw_them() -> None:
    """As text 2013 differs from 2013.0, so a feature of the user's own would."""
    features = [FeatureColumn(name="n", kind="number", whole=True)]
    assert frame_of({"n": [2013.0, 2014.0]}, features)["n"].astype(str).tolist() == ["2013", "2014"]
    assert frame_of({"n": [2013.0, None]}, features)["n"].dtype == "float64"
    assert frame_of({"n": [0.5, 1e300]}, features)["n"].tolist() == [0.5, 1e300]
    assert frame_of({"n": [1e300]}, features)["n"].tolist() == [1e300]


def test_a_regression_answers_plain_numbers_alone() -> None:
    """There are no probabilities, and the numbers are Python's."""
    fitted = make_pipeline(SimpleImputer(), LinearRegression()).fit(ROWS, [1.0, 2.0, 3.0, 4.0])
    scores = PipelinePredictor(fitted, FEATURES).predict({"a": [1.0], "b": [0]})
    assert scores.probabilities is None
    assert type(scores.labels[0]) is float
