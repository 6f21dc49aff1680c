import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier

from waterflow.datasets.loaders import iris
from waterflow.estimators.calibrated import CalibratedClassifier, calibrate, unwrap_estimator
from waterflow.estimators.label_encoded import LabelEncodedClassifier

ROWS = iris()
X, Y = ROWS.drop(columns="species"), (ROWS["species"] == "versicolor").to_numpy()
FITTED = LogisticRegression(max_iter=1000).fit(X, Y)


def test_a_line_through_the_log_odds_is_platts_sigmoid() -> None:
    """A slope of one and no intercept change nothing, up to the ends."""
    raw = np.array([0.0, 0.1, 0.5, 0.9, 1.0])
    assert calibrate(raw) == pytest.approx(raw)
    assert calibrate(raw, 2, -1)[1:4] == pytest.approx(expit(2 * logit(raw[1:4]) - 1))


def test_knots_are_joined_by_lines() -> None:
    """Beyond them the outermost hold."""
    assert calibrate(np.array([0.0, 0.3, 1.0]), knots=((0.2, 0.1), (0.4, 0.3))) == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("positive", [True, False])
def test_the_probability_of_the_positive_class_is_mapped(positive: bool) -> None:
    """The other class has the rest."""
    model = CalibratedClassifier(FITTED, positive, slope=0.5, intercept=1.0)
    column = int(positive)
    assert model.predict_proba(X)[:, column] == pytest.approx(calibrate(FITTED.predict_proba(X)[:, column], 0.5, 1.0))
    assert model.predict_proba(X).sum(axis=1) == pytest.approx(1)
    assert (model.predict(X) == (model.predict_proba(X)[:, 1] > 0.5)).all()


def test_the_configured_estimator_is_found_inside_all_wrappers() -> None:
    """Its parameters are those that a run logs."""
    encoded = LabelEncodedClassifier(FITTED)
    decided = FixedThresholdClassifier(CalibratedClassifier(encoded, True), threshold=0.2)
    assert unwrap_estimator(decided) is FITTED
    assert unwrap_estimator(FITTED) is FITTED
