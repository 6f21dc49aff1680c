import io

import numpy as np
from matplotlib.figure import Figure

from waterflow.reporting.plots import plot_candidates, plot_winner
from waterflow.scoring.metrics import Predicted

TRUTH = np.array(["a", "b", "a", "b"])
CALLED = np.array(["a", "b", "b", "b"])
CHANCES = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]])


def size_of(figure: Figure) -> int:
    """Draw a figure for real and return the size of its PNG."""
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
    """Numbers are drawn by their residuals."""
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


def many_classes(count: int, rows: int = 600) -> Predicted:
    """Call every row right, with `count` classes of which the first ones are the most frequent."""
    names = np.array([f"class {number:03d}" for number in range(count)], dtype=object)
    codes = np.concatenate([np.arange(count), np.minimum(np.arange(rows - count) % (count + 40), count - 1) // 2])
    chances = np.full((rows, count), 0.1 / count)
    chances[np.arange(rows), codes] += 0.9
    return Predicted(names[codes], names[codes], tuple(names), chances)


def test_pictures_of_many_classes_show_the_most_frequent_and_say_so() -> None:
    """A matrix of 400 classes would need gigabytes."""
    figures = plot_winner(many_classes(60), "classification")
    matrix = figures["confusion_matrix"]
    assert "the 19 most frequent of 60 classes" in matrix.axes[0].get_title()
    assert len(matrix.axes[0].get_yticklabels()) == 20
    assert max(matrix.get_size_inches()) < 20
    for name in ("roc_curve", "precision_recall_curve"):
        assert "the 10 most frequent of 60 classes" in figures[name].axes[0].get_title()
    assert all(size_of(figure) > 1000 for figure in figures.values())


def test_few_classes_are_all_shown_without_a_note() -> None:
    """The note is for what was left out."""
    figures = plot_winner(many_classes(10), "classification")
    assert "most frequent" not in "".join(figure.axes[0].get_title() for figure in figures.values())


def test_of_many_candidates_the_best_are_drawn() -> None:
    """The title counts the others."""
    scores = {f"candidate {number}": {"accuracy": 1 - number / 100} for number in range(60)}
    figure = plot_candidates(scores, ["accuracy"], "candidate 0", "on the test rows")
    assert len(figure.axes[0].patches) == 30
    assert "the best 30 of 60" in figure.get_suptitle()
    assert max(figure.get_size_inches()) < 20


def test_of_many_residuals_some_are_drawn() -> None:
    """Millions of points are as black as thousands, and slow; the histogram counts them all."""
    figure = plot_winner(Predicted(np.arange(50_000.0), np.arange(50_000.0) + 0.5), "regression")["residuals"]
    left, right = figure.axes
    assert len(left.collections[0].get_offsets()) <= 20_000
    assert "one row of 3" in left.get_title()
    assert sum(bar.get_height() for bar in right.patches) == 50_000


def test_names_with_dollars_and_newlines_are_labels_and_no_formulas() -> None:
    """Matplotlib reads text between dollars as TeX, and refuses what it cannot parse."""
    names = np.array([r"$\\frac{50K$", "a\nb"], dtype=object)
    predicted = Predicted(names[[0, 1, 1]], names[[0, 1, 0]], tuple(names))
    assert size_of(plot_winner(predicted, "classification")["confusion_matrix"]) > 1000
    assert size_of(plot_candidates({names[0]: {"accuracy": 0.9}}, ["accuracy"], names[0], "on the test rows")) > 1000
