"""The model card of a registered version, in Markdown: what a person asks before relying on a model."""

import html
from collections.abc import Mapping

from waterflow.config.schema import PipelineConfig
from waterflow.records import Evaluated, MetricResult, Prepared, Verdict

SAYING = {
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

RULES = {
    "baseline most_frequent": "always naming the most frequent class",
    "baseline mean": "always naming the mean",
    "baseline median": "always naming the median",
}


def first_sentence(config: PipelineConfig, evaluated: Evaluated) -> str:
    """Say in one sentence, without a term of statistics, what the model does and whether it is better."""
    target, verdict = text(config.target), evaluated.verdict
    if evaluated.exploratory:
        return f"An exploratory model that predicts {target}; it was chosen on the very rows that judge it."
    if verdict is None:
        return f"This model predicts {target}."
    return f"This model predicts {target}; {say_verdict(verdict, 'it')}"


def say_verdict(verdict: Verdict, model: str) -> str:
    """Say the outcome as a main clause about `model`, which begins with a small letter."""
    named = verdict.against if verdict.champion_version is not None else f"the {verdict.against}"
    against = text(RULES.get(verdict.against, named))
    if verdict.challenger is None or verdict.champion is None:
        return f"whether {model} is better than {against} is not known: {text(verdict.reason)}."
    numbers = (
        f"{SAYING[verdict.metric]} {number(verdict.challenger)} against {number(verdict.champion)} "
        f"on {verdict.rows:,} rows that {_unseen_by(verdict, model)} trained on"
    )
    match verdict.outcome:
        case "promote":
            return f"{model} is better than {against}: {numbers}."
        case "hold" if any(entry.worse for entry in verdict.slices):
            return f"{model} is worse than {against} on a part of the rows that matters: {numbers}."
        case "hold":
            return f"{model} is no better than {against}: {numbers}."
    return f"whether {model} is better than {against} cannot be told yet: {numbers}."


def model_card(config: PipelineConfig, prepared: Prepared, evaluated: Evaluated, links: Mapping[str, str]) -> str:
    """Write the card; `links` are shown as lineage, by name: addresses, or ids where there is no address."""
    winner = evaluated.winner
    parts = [
        first_sentence(config, evaluated),
        "## Intended use",
        text(config.intended_use or config.description or "Not stated in the pipeline's YAML (`intended_use`)."),
        "## Data",
        _data(config, prepared),
        "## Model",
        f"`{text(winner.candidate)}` (`{text(config.candidates[winner.candidate].estimator)}`), the best of "
        f"{len(evaluated.ranked)} candidates by {config.metrics.main} on the {winner.scored_on} rows, under strategy "
        f"`{text(config.strategy.name)}`." + _not_trained(evaluated),
        "## Metrics",
        _metrics(evaluated),
        "## Verdict",
        _verdict(evaluated),
        "## Lineage",
        "\n".join(f"- {text(name)}: {_link(target)}" for name, target in links.items()),
    ]
    return "\n\n".join(parts)


def metrics_table(results: tuple[MetricResult, ...], names: tuple[str, str]) -> str:
    """Write the metrics of both models and their differences as a Markdown table."""
    lines = [f"| metric | {names[0]} | {names[1]} | difference (positive: better) |", "|---|---|---|---|"]
    lines += [
        f"| {entry.metric} | {within(entry.challenger, entry.challenger_low, entry.challenger_high)} "
        f"| {within(entry.champion, entry.champion_low, entry.champion_high)} "
        f"| {within(entry.difference, entry.low, entry.high)} |"
        for entry in results
    ]
    return "\n".join(lines)


def within(value: float, low: float, high: float) -> str:
    """Write a value with its interval."""
    return f"{number(value)} ({number(low)} to {number(high)})"


def number(value: float | None) -> str:
    """Write a number for people: four digits that count, a dash for none."""
    return "–" if value is None else f"{value:,.4g}" if 1e-3 <= abs(value) < 1e6 or not value else f"{value:.3g}"


def confidence(verdict: Verdict) -> str:
    """Write the confidence of the intervals: `90 %`."""
    return f"{100 * (1 - 2 * verdict.alpha):.4g} %"


def text(content: object) -> str:
    """Make text from data or YAML safe inside Markdown, which may hold HTML and tables."""
    return html.escape(str(content), quote=False).replace("|", "\\|").replace("`", "'")


def _unseen_by(verdict: Verdict, model: str) -> str:
    both = verdict.disjoint and verdict.against not in RULES
    return "neither was" if both else f"{model} was not"


def _data(config: PipelineConfig, prepared: Prepared) -> str:
    shares = ", ".join(f"{share.rows:,} {share.part}" for share in prepared.shares)
    window = f"window {prepared.window}" if config.time_column and prepared.window else "no window: rows are not dated"
    data = f"data `{prepared.data.digest[:12]}`, split by {config.split_kind}"
    return f"{prepared.rows:,} rows ({shares}), {window}; {data}."


def _not_trained(evaluated: Evaluated) -> str:
    return f" Not trained: {text(', '.join(evaluated.missing))}." if evaluated.missing else ""


def _metrics(evaluated: Evaluated) -> str:
    verdict = evaluated.verdict
    if verdict is not None and verdict.metrics:
        table = metrics_table(verdict.metrics, ("this model", text(verdict.against)))
        return f"On {verdict.rows:,} held-out rows, intervals at {confidence(verdict)}.\n\n{table}"
    lines = [f"| {name} | {number(value)} |" for name, value in evaluated.holdout_metrics.items()]
    return "\n".join(
        [f"On {evaluated.holdout_rows:,} held-out rows.\n", "| metric | this model |", "|---|---|", *lines]
    )


def _verdict(evaluated: Evaluated) -> str:
    verdict, gate = evaluated.verdict, evaluated.gate
    lines = [f"**{verdict.outcome}** against {text(verdict.against)}: {text(verdict.reason)}."] if verdict else []
    lines += [f"{text(gate.reason)}."] if gate else []
    return "\n\n".join(lines)


def _link(target: str) -> str:
    return f"[{target}]({target})" if target.startswith(("http://", "https://")) else f"`{text(target)}`"
