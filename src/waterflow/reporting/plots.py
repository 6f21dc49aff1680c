"""Pictures of a run, each bounded in size. That holds however many classes, candidates or rows there are.

Figures are made without pyplot, so that no window system or global state is touched.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn import metrics as skm
from sklearn.calibration import calibration_curve

from waterflow.records.evaluation import Verdict
from waterflow.reporting.confusion import count_classes
from waterflow.scoring.metrics import Predicted

COLOURS = ("#1f6f8b", "#e07a3f", "#5b8c5a", "#8e6c8a", "#c9a227", "#7a7a7a")
OUTCOME_COLOURS = {"promote": "#2e7d4f", "hold": "#8a5a00", "insufficient evidence": "#5b6770"}
GREY, WORSE = "#5b6770", "#b3261e"
MAX_CANDIDATES = 30
MAX_CLASSES = 20
MAX_CURVES = 10
MAX_POINTS = 20_000
MAX_STEPS = 2_000
MAX_LABEL_CHARS = 28
BINS = 40


def plot_candidates(scores: Mapping[str, Mapping[str, float]], shown: Sequence[str], winner: str, where: str) -> Figure:
    """Draw the candidates side by side, a panel per metric.

    `scores` holds metrics by candidate, the best first; of many the first are drawn. `where` says in words which rows
    they were measured on.
    """
    names = list(scores)[:MAX_CANDIDATES]
    shown = [metric for metric in shown if any(metric in scores[name] for name in names)]
    figure = _figure(width=1.2 + 2.9 * len(shown), height=1.3 + 0.42 * len(names))
    for axis, metric in zip(np.ravel(figure.subplots(1, len(shown), sharey=True)), shown, strict=True):
        values = [scores[name].get(metric, np.nan) for name in names]
        colours = [COLOURS[1] if name == winner else COLOURS[0] for name in names]
        bars = axis.barh(range(len(names)), np.nan_to_num(values), color=colours)
        axis.bar_label(bars, ["–" if np.isnan(value) else f"{value:.3f}" for value in values], padding=3, fontsize=8)
        axis.set_title(metric, fontsize=10)
        axis.margins(x=0.25)
    first = figure.axes[0]
    first.set_yticks(range(len(names)), _labels(names))
    first.invert_yaxis()
    of_all = f", the best {len(names)} of {len(scores)}" if len(names) < len(scores) else ""
    figure.suptitle(f"Candidates {where}{of_all} (winner: {shorten_label(winner)})", fontsize=11)
    return figure


def plot_winner(predicted: Predicted, task: str) -> dict[str, Figure]:
    """Draw confusion matrix and curves of classes, or residuals. Pictures are returned by file name."""
    if task == "regression":
        return {"residuals": _plot_residuals(predicted)}
    figures = {"confusion_matrix": _plot_confusion(predicted)}
    if predicted.probabilities is not None:
        figures["roc_curve"] = _plot_curves(predicted, "roc")
        figures["precision_recall_curve"] = _plot_curves(predicted, "precision_recall")
    return figures


def plot_differences(verdict: Verdict) -> Figure:
    """Draw the differences of the verdict and its slices. Their intervals are drawn around zero."""
    drawn: list[tuple[str, Any, Any, Any, str]] = [
        ("all rows", verdict.difference, verdict.low, verdict.high, OUTCOME_COLOURS[verdict.outcome])
    ]
    drawn += [
        (f"{entry.column} = {entry.value}", entry.difference, entry.low, entry.high, WORSE if entry.worse else GREY)
        for entry in verdict.slices
        if entry.low is not None
    ]
    figure = _figure(7.5, 0.9 + 0.3 * len(drawn))
    axis = figure.subplots()
    for place, (_, value, low, high, colour) in enumerate(drawn):
        axis.plot([low, high], [place, place], color=colour, linewidth=3)
        axis.plot(value, place, marker="o", color=colour)
    axis.set_yticks(range(len(drawn)), _labels([label for label, *_ in drawn]))
    axis.set_ylim(len(drawn) - 0.5, -0.5)
    axis.axvline(0, color="#9aa5ad", linewidth=1)
    if verdict.min_gain:
        axis.axvline(verdict.min_gain, color="#9aa5ad", linewidth=1, linestyle="--", label="min_gain")
        axis.legend(fontsize=8)
    opponent = "baseline" if verdict.champion_version is None else "champion"
    axis.set_xlabel(f"← {opponent} better        challenger better →")
    axis.spines[["left", "right", "top"]].set_visible(False)
    return figure


def plot_residual_histograms(residuals: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Draw the residuals of several models side by side. They share one scale."""
    edges = bin_edges(np.concatenate(list(residuals.values())), BINS)
    figure = _figure(3.7 * len(residuals), 2.6)
    for axis, (name, values) in zip(figure.subplots(1, len(residuals), sharey=True), residuals.items(), strict=True):
        axis.hist(values, bins=edges, color=COLOURS[0])
        axis.set_title(shorten_label(name), fontsize=10)
    return figure


def bin_edges(values: NDArray[np.float64], bins: int) -> NDArray[np.float64]:
    """Return the edges of a histogram's equal bins.

    They are fewer where floats cannot tell so many edges apart: NumPy refuses, say, 24 bins of 300 ids near 1.6e18.
    """
    low, high = values.min(), values.max()
    if low == high:
        margin = max(0.5, np.spacing(abs(low)))
        low, high = low - margin, high + margin
    return np.unique(np.linspace(low, high, bins + 1))


def plot_thresholds(thresholds: NDArray[np.float64], values: NDArray[np.float64], aim: str, chosen: float) -> Figure:
    """Draw what a decision aims at over its threshold. The chosen threshold is marked.

    `values` has a value per threshold; `aim` is its name.
    """
    figure = _figure(5.6, 3.6)
    axis = figure.subplots()
    step = -(-len(thresholds) // MAX_STEPS)  # rounded up
    axis.plot(thresholds[::step], values[::step], color=COLOURS[0], drawstyle="steps-post")
    for threshold, colour, style in ((0.5, GREY, "--"), (chosen, COLOURS[1], "-")):
        value = values[np.abs(thresholds - threshold).argmin()]
        axis.axvline(threshold, color=colour, linestyle=style, linewidth=1, label=f"{threshold:.3g}: {aim} {value:.3f}")
    axis.set(xlabel="threshold", ylabel=aim, title=f"{aim} by threshold, on rows outside the fit", xlim=(-0.02, 1.02))
    axis.legend(fontsize=8)
    return figure


def plot_reliability(actual: NDArray[np.bool_], probabilities: Mapping[str, NDArray[np.float64]]) -> Figure:
    """Draw the share of positive rows over predicted probabilities. There are ten bins of equal size."""
    figure = _figure(4.6, 4.2)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#bbbbbb", linestyle="--", linewidth=1)
    for number, (name, values) in enumerate(probabilities.items()):
        shares, means = calibration_curve(actual, values, n_bins=10, strategy="quantile")
        axis.plot(means, shares, marker="o", color=COLOURS[number], label=name)
    axis.set(xlabel="mean predicted probability", ylabel="share of positive rows", title="Reliability")
    axis.legend(fontsize=8)
    return figure


def figure_svg(figure: Figure) -> str:
    """Return a figure as an SVG element for HTML. Text stays text, and the result is the same each time."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "waterflow", "font.family": "sans-serif"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"^.*?(?=<svg )", "", buffer.getvalue(), flags=re.DOTALL)


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def shorten_label(name: object) -> str:
    """Return a short label of one line. No `$` begins a formula in it."""
    text = " ".join(str(name).split())
    text = text if len(text) <= MAX_LABEL_CHARS else f"{text[: MAX_LABEL_CHARS - 1]}…"
    return text.replace("$", r"\$")


def _labels(names: Sequence[object]) -> list[str]:
    return [shorten_label(name) for name in names]


def _plot_confusion(predicted: Predicted) -> Figure:
    confusion = count_classes(predicted, MAX_CLASSES)
    names = _labels(confusion.names)
    figure = _figure(2.4 + 0.7 * len(names), 2.0 + 0.7 * len(names))
    axis = figure.subplots()
    axis.imshow(confusion.counts, cmap="Blues")
    for (row, column), count in np.ndenumerate(confusion.counts):
        colour = "white" if count > confusion.counts.max() / 2 else "black"
        axis.text(column, row, f"{count}", ha="center", va="center", color=colour)
    note = f"\n{confusion.note}" if confusion.note else ""
    axis.set(xlabel="predicted", ylabel="actual", title=f"Confusion matrix on the holdout{note}")
    axis.set_xticks(range(len(names)), names, rotation=30, ha="right")
    axis.set_yticks(range(len(names)), names)
    return figure


def _plot_curves(predicted: Predicted, kind: str) -> Figure:
    figure = _figure(5.0, 4.2)
    axis = figure.subplots()
    shown, drawable = _classes_with_curves(predicted)
    assert predicted.probabilities is not None
    for number, position in enumerate(shown):
        actual = predicted.truth == predicted.classes[position]
        scores = predicted.probabilities[:, position]
        if kind == "roc":
            x, y, _ = skm.roc_curve(actual, scores)
        else:
            y, x, _ = skm.precision_recall_curve(actual, scores, drop_intermediate=True)
        axis.plot(x, y, color=COLOURS[number % len(COLOURS)], label=shorten_label(predicted.classes[position]))
    note = f"\nthe {len(shown)} most frequent of {drawable} classes" if len(shown) < drawable else ""
    if kind == "roc":
        axis.plot([0, 1], [0, 1], color="#bbbbbb", linestyle="--", linewidth=1)
        axis.set(xlabel="false positive rate", ylabel="true positive rate", title=f"ROC on the holdout{note}")
    else:
        axis.set(xlabel="recall", ylabel="precision", title=f"Precision and recall on the holdout{note}")
    axis.legend(fontsize=8) if axis.get_legend_handles_labels()[0] else None
    return figure


def _classes_with_curves(predicted: Predicted) -> tuple[list[int], int]:
    """Return the positions of the classes to draw. Also returns how many have a curve.

    Of two classes the second one is drawn. A class has no curve where all rows or none are of it.
    """
    positions = [1] if len(predicted.classes) == 2 else list(range(len(predicted.classes)))
    rows = {position: int((predicted.truth == predicted.classes[position]).sum()) for position in positions}
    drawable = [position for position in positions if 0 < rows[position] < len(predicted.truth)]
    frequent = sorted(drawable, key=lambda position: -rows[position])[:MAX_CURVES]
    return sorted(frequent), len(drawable)


def _plot_residuals(predicted: Predicted) -> Figure:
    residuals: Any = predicted.truth - predicted.prediction
    figure = _figure(8.4, 3.8)
    left, right = figure.subplots(1, 2)
    step = -(-len(residuals) // MAX_POINTS)  # rounded up
    left.scatter(predicted.prediction[::step], residuals[::step], s=8, alpha=0.5, color=COLOURS[0])
    left.axhline(0, color="#bbbbbb", linestyle="--", linewidth=1)
    note = f"\none row of {step}" if step > 1 else ""
    left.set(xlabel="predicted", ylabel="actual minus predicted", title=f"Residuals on the holdout{note}")
    right.hist(residuals, bins=bin_edges(residuals, BINS), color=COLOURS[0])
    right.set(xlabel="actual minus predicted", ylabel="rows", title="Their distribution")
    return figure
