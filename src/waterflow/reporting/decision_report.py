"""Pictures of a two-class candidate's decision. They show the scores behind its threshold and calibration."""

from pathlib import Path
from typing import TYPE_CHECKING

from waterflow.reporting.plots import plot_reliability, plot_thresholds
from waterflow.scoring.thresholds import measure_decisions, trace_thresholds
from waterflow.training.decision import calibrate_scores, positive_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from waterflow.config.schema import PipelineConfig
    from waterflow.training.candidate import ScoredCandidate


def write_decision(folder: Path, config: "PipelineConfig", scored: "ScoredCandidate") -> None:
    """Draw what the decision was chosen from. Nothing is drawn where it was not chosen."""
    for name, figure in _plot_decision(config, scored).items():
        folder.mkdir(exist_ok=True)
        figure.savefig(folder / f"{name}.png", dpi=110)


def _plot_decision(config: "PipelineConfig", scored: "ScoredCandidate") -> "dict[str, Figure]":
    rule = scored.choices.decision
    figures: dict[str, Figure] = {}
    if rule is None or not scored.out_of_sample:
        return figures
    actual, raw = positive_scores(scored.out_of_sample, rule.positive)
    scores = calibrate_scores(raw, rule)
    if not isinstance(config.decision_rule, float):
        curve = trace_thresholds(actual, scores)
        name, values = measure_decisions(curve, config.decision_rule, config.costs)
        figures["threshold"] = plot_thresholds(curve.thresholds, values, name, rule.threshold)
    if rule.is_calibrated:
        figures["reliability"] = plot_reliability(actual, {"as fitted": raw, "calibrated": scores})
    return figures
