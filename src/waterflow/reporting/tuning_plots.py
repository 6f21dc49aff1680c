"""Optuna's pictures of a study."""

import warnings
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from optuna import Study


def plot_trials(study: "Study", metric: str) -> dict[str, Figure]:
    """Draw how the score rose, which parameters mattered and where in their ranges it was best; by file name.

    The latter two need two finished trials that differ. Optuna draws through pyplot, whose style is put back and
    whose list of open figures stays empty.
    """
    import matplotlib.pyplot as plt
    import optuna.visualization.matplotlib as draw
    from optuna.trial import TrialState

    drawn: dict[str, Any] = {}
    tried = [trial for trial in study.get_trials(states=(TrialState.COMPLETE,)) if trial.params]
    with plt.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        drawn["optimization_history"] = draw.plot_optimization_history(study, target_name=metric)
        if len({str(trial.params) for trial in tried}) > 1:
            names = sorted({name for trial in tried for name in trial.params})
            drawn["slice"] = draw.plot_slice(study, params=names, target_name=metric)
            if len({trial.value for trial in tried}) > 1:
                drawn["param_importances"] = draw.plot_param_importances(study, params=names, target_name=metric)
        figures = {}
        for name, axes in drawn.items():
            figure = getattr(axes, "figure", None) or axes.flat[0].figure
            figures[name] = figure
            plt.close(figure)
    return figures
