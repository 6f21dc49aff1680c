"""Pictures of one candidate: its decision and its tuning.

They show the scores behind threshold and calibration, and Optuna's trials, of which a run also keeps a table.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waterflow.config.schema import PipelineConfig
from waterflow.reporting.plots import plot_reliability, plot_thresholds
from waterflow.scoring.thresholds import measure_decisions, trace_thresholds
from waterflow.training.decision import calibrate_scores, positive_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from optuna import Study

    from waterflow.training.candidate import ScoredCandidate
    from waterflow.training.tuning.tuner import Tuned

MAX_PARAMETERS = 12


def write_decision(folder: Path, config: PipelineConfig, scored: "ScoredCandidate") -> None:
    """Draw what the decision was chosen from. Nothing is drawn where it was not chosen."""
    rule = scored.choices.decision
    if rule is None or not scored.out_of_sample:
        return
    figures: dict[str, Figure] = {}
    actual, raw = positive_scores(scored.out_of_sample, rule.positive)
    scores = calibrate_scores(raw, rule)
    if not isinstance(config.decision_rule, float):
        curve = trace_thresholds(actual, scores)
        name, values = measure_decisions(curve, config.decision_rule, config.costs)
        figures["threshold"] = plot_thresholds(curve.thresholds, values, name, rule.threshold)
    if rule.is_calibrated:
        figures["reliability"] = plot_reliability(actual, {"as fitted": raw, "calibrated": scores})
    for name, figure in figures.items():
        folder.mkdir(exist_ok=True)
        figure.savefig(folder / f"{name}.png", dpi=110)


def write_trials(folder: Path, tuned: "Tuned", main_metric: str) -> None:
    """Write `trials.csv`, and the pictures that so many trials allow."""
    folder.mkdir()
    tuned.trials.to_csv(folder / "trials.csv", index=False)
    for name, figure in plot_trials(tuned.study, main_metric).items():
        figure.savefig(folder / f"{name}.png", dpi=110, bbox_inches="tight")


def plot_trials(study: "Study", metric: str) -> "dict[str, Figure]":
    """Draw score, important parameters and their best ranges. Pictures are returned by file name.

    The latter two need two finished trials that differ, and show the first `MAX_PARAMETERS` by name. Optuna draws
    through pyplot, whose style is restored and whose list of open figures stays empty.
    """
    import matplotlib.pyplot as plt
    import optuna.visualization.matplotlib as draw
    from optuna.trial import TrialState

    drawn: dict[str, Any] = {}
    finished = [trial for trial in study.get_trials(states=(TrialState.COMPLETE,)) if trial.params]
    with plt.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn["optimization_history"] = draw.plot_optimization_history(study, target_name=metric)
        if len({str(trial.params) for trial in finished}) > 1:
            names = sorted({name for trial in finished for name in trial.params})[:MAX_PARAMETERS]
            drawn["slice"] = draw.plot_slice(study, params=names, target_name=metric)
            if len({trial.value for trial in finished}) > 1:
                drawn["param_importances"] = draw.plot_param_importances(study, params=names, target_name=metric)
        figures = {}
        for name, axes in drawn.items():
            figure = getattr(axes, "figure", None) or axes.flat[0].figure
            figures[name] = figure
            plt.close(figure)
    return figures
