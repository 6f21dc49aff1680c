import io

import numpy as np
from matplotlib.figure import Figure

from waterflow.reporting.plots import plot_candidates, plot_winner
from waterflow.scoring.metrics import Predicted

TRUTH = np.array(["a", "b", "a", "b"])
CALLED = np.array(["a", "b", "b", "b"])
CHANCES = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]])


def size_of(figure: Figure) -> int:
    """Draw a figure for real and give the size of its PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer)
    assert buffer.getvalue().startswith(b"\x89PNG")
    return len(buffer.getvalue())


def test_a_winner_with_probabilities_has_its_curves() -> None:
    """Confusion matrix, ROC and precision-recall can all be drawn."""
    figures = plot_winner(Predicted(TRUTH, CALLED, ("a", "b"), CHANCES), "classification")
    assert set(figures) == {"confusion_matrix", "roc_curve", "precision_recall_curve"}
    assert all(size_of(figure) > 1000 for figure in figures.values())


def test_a_winner_without_probabilities_has_a_confusion_matrix_alone() -> None:
    """Nothing is drawn that the estimator did not say."""
    figures = plot_winner(Predicted(TRUTH, CALLED, ("a", "b")), "classification")
    assert set(figures) == {"confusion_matrix"}


def test_curves_of_a_holdout_with_one_class_can_be_drawn() -> None:
    """A curve that is not defined is left out, and nothing fails."""
    figures = plot_winner(Predicted(TRUTH[:1], CALLED[:1], ("a", "b"), CHANCES[:1]), "classification")
    assert all(size_of(figure) > 1000 for figure in figures.values())


def test_a_regression_has_residuals() -> None:
    """Numbers are judged by what is left over."""
    figures = plot_winner(Predicted(np.arange(5.0), np.arange(5.0) + 0.5), "regression")
    assert set(figures) == {"residuals"}
    assert size_of(figures["residuals"]) > 1000


def test_candidates_stand_side_by_side() -> None:
    """Each shown metric has a panel, and a metric that a candidate lacks is no reason to fail."""
    scores = {"nb": {"accuracy": 0.9, "log_loss": 0.2}, "svc": {"accuracy": 0.8}}
    figure = plot_candidates(scores, ["accuracy", "log_loss", "roc_auc"], "nb", "on the validation rows")
    assert [axis.get_title() for axis in figure.axes] == ["accuracy", "log_loss"]
    assert size_of(figure) > 1000


def test_one_candidate_and_one_metric_can_be_drawn() -> None:
    """The smallest comparison is a picture too."""
    assert size_of(plot_candidates({"nb": {"accuracy": 0.9}}, ["accuracy"], "nb", "on the test rows")) > 1000
