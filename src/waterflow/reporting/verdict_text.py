"""A verdict in words and numbers. The report and the model card use it."""

from collections.abc import Callable
from typing import Any

from waterflow.records.evaluation import Verdict

METRIC_NAMES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "accuracy averaged over the classes",
    "precision_macro": "precision averaged over the classes",
    "recall_macro": "recall averaged over the classes",
    "f1_macro": "F1 score averaged over the classes",
    "roc_auc": "area under the ROC curve",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "expected_cost": "cost per row",
    "mae": "mean absolute error",
    "median_ae": "median absolute error",
    "rmse": "root mean squared error",
    "r2": "share of the variance explained (R²)",
}

BASELINES = {
    "baseline most_frequent": "always naming the most frequent class",
    "baseline stratified": "guessing labels at random, as often as each occurs",
    "baseline cheapest": "always naming the class that costs least",
    "baseline shortest_half": "always naming the middle of the most common values",
    "baseline mean": "always naming the mean",
    "baseline median": "always naming the median",
}


def describe_verdict(verdict: Verdict, model: str) -> str:
    """Return the outcome as a sentence about `model`. No term of statistics is in it."""
    named = verdict.against if verdict.champion_version is not None else f"the {verdict.against}"
    against = BASELINES.get(verdict.against, named)
    if verdict.challenger is None or verdict.champion is None:
        return f"whether {model} is better than {against} is not known: {verdict.reason}."
    metric = METRIC_NAMES.get(verdict.metric, verdict.metric)
    numbers = (
        f"{metric} {format_number(verdict.challenger)} against {format_number(verdict.champion)} "
        f"on {_sample(verdict)}{',' if verdict.clusters else ''} that {_unseen_by(verdict, model)} trained on"
    )
    match verdict.outcome:
        case "promote":
            return f"{model} is better than {against}: {numbers}."
        case "hold" if any(entry.worse for entry in verdict.slices):
            return f"{model} is worse than {against} on a part of the rows that matters: {numbers}."
        case "hold":
            return f"{model} is no better than {against}: {numbers}."
    return f"whether {model} is better than {against} cannot be told yet: {numbers}."


def verdict_line(verdict: Verdict) -> str:
    """Return outcome, difference, interval, p-value and rows."""
    if verdict.difference is None:
        return f"{verdict.outcome} against {verdict.against}: {verdict.reason}"
    p_value = "" if verdict.p_value is None else f", p {verdict.p_value:.3g}"
    return (
        f"{verdict.outcome} against {verdict.against}: {verdict.metric} {verdict.difference:+.4f} "
        f"{format_bounds(verdict.low, verdict.high)}{p_value}, {_sample(verdict)}"
    )


def verdict_table(verdict: Verdict) -> str:
    """Return the numbers as a Markdown table. Slices come below the whole."""
    heads = ("", "rows", "challenger", verdict.against, "difference", "interval")
    whole = (verdict.metric, verdict.rows, verdict.challenger, verdict.champion, verdict.difference)
    rows = [(*map(format_value, whole), format_bounds(verdict.low, verdict.high))]
    for part in verdict.slices:
        cells = (f"{part.column} = {part.value}", part.rows, part.challenger, part.champion, part.difference)
        rows.append((*map(format_value, cells), format_bounds(part.low, part.high)))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, ("---",) * len(heads), *rows))


def format_value(value: float | str | None) -> str:
    """Return a number with four decimals. Other values are text, None is `–`."""
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def format_bounds(low: float | None, high: float | None) -> str:
    """Return `[low, high]` with signs. A bound that is missing is `–`."""
    return "–" if low is None or high is None else f"[{low:+.4f}, {high:+.4f}]"


def list_numbers(verdict: Verdict) -> list[tuple[str, str]]:
    """Return the numbers behind a verdict with their names. Only those that exist are returned."""
    interval = None if verdict.low is None else f"{format_number(verdict.low)} to {format_number(verdict.high)}"
    counted, whole = "{:,}".format, "{:,.0f}".format
    rows: list[tuple[str, Any, Callable[[Any], str]]] = [
        ("main metric", verdict.metric, str),
        ("rows compared", verdict.rows, counted),
        ("drawn together, because they resemble each other", " and ".join(verdict.clusters) or None, str),
        ("independent rows that would tell as much", verdict.effective_rows, whole),
        ("rows left out because the champion may have seen them", verdict.excluded_rows, counted),
        ("rows left out because an earlier verdict looked at them", verdict.looked_at_rows, counted),
        ("verdicts on the same rows, this one included", verdict.look, counted),
        ("known not to have been fitted on these rows", "both" if verdict.disjoint else "the challenger alone", str),
        ("difference (positive: challenger better)", verdict.difference, format_number),
        (f"its interval at {format_confidence(verdict)}", interval, str),
        ("p-value, one-sided", verdict.p_value, format_number),
        ("p-value of McNemar's exact test, two-sided", verdict.mcnemar_p_value, format_number),
        ("difference that these rows would show in 4 of 5 cases", verdict.smallest_detectable, format_number),
        (
            "accepted risk of promoting a model that is no better (alpha of this look)",
            verdict.alpha,
            format_number,
        ),
        ("smallest difference worth having (min_gain)", verdict.min_gain, format_number),
        ("resamples", verdict.resamples, counted),
    ]
    return [(name, write(value)) for name, value, write in rows if value is not None]


def format_number(value: float | None) -> str:
    """Return a number with four significant digits. None is a dash."""
    return "–" if value is None else f"{value:,.4g}" if 1e-3 <= abs(value) < 1e6 or not value else f"{value:.3g}"


def format_interval(value: float, low: float, high: float) -> str:
    """Return a value with its interval: `0.95 (0.92 to 0.97)`."""
    return f"{format_number(value)} ({format_number(low)} to {format_number(high)})"


def format_confidence(verdict: Verdict) -> str:
    """Return the confidence of a verdict's intervals: `90 %`."""
    return f"{100 * (1 - 2 * verdict.alpha):.4g} %"


def _sample(verdict: Verdict) -> str:
    if verdict.effective_rows is None or not verdict.clusters:
        return f"{verdict.rows:,} rows"
    from waterflow.evaluation.verdict import describe_sample  # scikit-learn

    return describe_sample(verdict.rows, verdict.effective_rows)


def _unseen_by(verdict: Verdict, model: str) -> str:
    both = verdict.disjoint and verdict.against not in BASELINES
    return "neither was" if both else f"{model} was not"
