"""Pictures of a run. Figures are made without pyplot, so that no window system or global state is touched."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn import metrics as skm

from waterflow.scoring.metrics import Predicted, confusion

COLOURS = ("#1f6f8b", "#e07a3f", "#5b8c5a", "#8e6c8a", "#c9a227", "#7a7a7a")


def plot_candidates(scores: Mapping[str, Mapping[str, float]], shown: Sequence[str], winner: str, where: str) -> Figure:
    """Draw the candidates side by side, a panel per metric.

    `scores` is metrics by candidate; `where` says in words what they were measured on.
    """
    names = list(scores)
    shown = [metric for metric in shown if any(metric in scores[name] for name in names)]
    figure = _figure(width=1.2 + 2.9 * len(shown), height=1.3 + 0.42 * len(names))
    for axis, metric in zip(np.ravel(figure.subplots(1, len(shown), sharey=True)), shown, strict=True):
        values = [scores[name].get(metric, np.nan) for name in names]
        colours = [COLOURS[1] if name == winner else COLOURS[0] for name in names]
        bars = axis.barh(names, np.nan_to_num(values), color=colours)
        axis.bar_label(bars, ["–" if np.isnan(value) else f"{value:.3f}" for value in values], padding=3, fontsize=8)
        axis.set_title(metric, fontsize=10)
        axis.margins(x=0.25)
        axis.invert_yaxis() if axis is figure.axes[0] else None
    figure.suptitle(f"Candidates {where} (winner: {winner})", fontsize=11)
    return figure


def plot_winner(predicted: Predicted, task: str) -> dict[str, Figure]:
    """Draw what the task has: confusion matrix, ROC and precision-recall curves, or residuals; by file name."""
    if task == "regression":
        return {"residuals": _plot_residuals(predicted)}
    figures = {"confusion_matrix": _plot_confusion(predicted)}
    if predicted.probabilities is not None:
        figures["roc_curve"] = _plot_curves(predicted, "roc")
        figures["precision_recall_curve"] = _plot_curves(predicted, "precision_recall")
    return figures


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def _plot_confusion(predicted: Predicted) -> Figure:
    content = confusion(predicted)
    classes, matrix = content["classes"], np.asarray(content["matrix"])
    figure = _figure(2.4 + 0.7 * len(classes), 2.0 + 0.7 * len(classes))
    axis = figure.subplots()
    axis.imshow(matrix, cmap="Blues")
    for (row, column), count in np.ndenumerate(matrix):
        colour = "white" if count > matrix.max() / 2 else "black"
        axis.text(column, row, f"{count}", ha="center", va="center", color=colour)
    axis.set(xlabel="predicted", ylabel="true", title="Confusion matrix on the holdout")
    axis.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
    axis.set_yticks(range(len(classes)), classes)
    return figure


def _plot_curves(predicted: Predicted, kind: str) -> Figure:
    figure = _figure(5.0, 4.2)
    axis = figure.subplots()
    positives = range(1, 2) if len(predicted.classes) == 2 else range(len(predicted.classes))
    assert predicted.probabilities is not None
    for position in positives:
        truth = predicted.truth == predicted.classes[position]
        if truth.all() or not truth.any():
            continue  # neither curve is defined where one side is missing
        scores = predicted.probabilities[:, position]
        if kind == "roc":
            x, y, _ = skm.roc_curve(truth, scores)
        else:
            y, x, _ = skm.precision_recall_curve(truth, scores)
        axis.plot(x, y, color=COLOURS[position % len(COLOURS)], label=str(predicted.classes[position]))
    if kind == "roc":
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linestyle="--", linewidth=1)
        axis.set(xlabel="false positive rate", ylabel="true positive rate", title="ROC on the holdout")
    else:
        axis.set(xlabel="recall", ylabel="precision", title="Precision and recall on the holdout")
    axis.legend(fontsize=8) if axis.get_legend_handles_labels()[0] else None
    return figure


def _plot_residuals(predicted: Predicted) -> Figure:
    residuals: Any = predicted.truth - predicted.prediction
    figure = _figure(8.4, 3.8)
    left, right = figure.subplots(1, 2)
    left.scatter(predicted.prediction, residuals, s=8, alpha=0.5, color=COLOURS[0])
    left.axhline(0, color="#bbbbbb", linestyle="--", linewidth=1)
    left.set(xlabel="predicted", ylabel="true minus predicted", title="Residuals on the holdout")
    right.hist(residuals, bins=40, color=COLOURS[0])
    right.set(xlabel="true minus predicted", ylabel="rows", title="Their distribution")
    return figure
