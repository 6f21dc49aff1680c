"""What a run keeps of its tuning. It is the trials as a table, and Optuna's pictures of them."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from optuna import Study

    from waterflow.training.tuning.tuner import Tuned

MAX_PARAMETERS = 12


def write_trials(folder: Path, tuned: "Tuned", main_metric: str) -> None:
    """Write `trials.csv`, and the pictures that so many trials allow."""
    folder.mkdir()
    tuned.trials.to_csv(folder / "trials.csv", index=False)
    for name, figure in plot_trials(tuned.study, main_metric).items():
        figure.savefig(folder / f"{name}.png", dpi=110, bbox_inches="tight")


def plot_trials(study: "Study", metric: str) -> dict[str, Figure]:
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
