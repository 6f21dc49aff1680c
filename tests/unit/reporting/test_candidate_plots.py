import matplotlib as mpl
import matplotlib.pyplot as plt
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from waterflow.reporting.candidate_plots import plot_trials

DISTRIBUTIONS = {"C": FloatDistribution(0.1, 10, log=True), "weight": CategoricalDistribution([None, "balanced"])}


def study(*values: float) -> optuna.Study:
    """Make a study of finished trials in memory."""
    found = optuna.create_study(direction="maximize")
    for number, value in enumerate(values):
        params = {"C": 0.5 + number, "weight": [None, "balanced"][number % 2]}
        found.add_trial(optuna.create_trial(params=params, distributions=DISTRIBUTIONS, value=value))
    return found


def test_a_study_is_drawn() -> None:
    """How the score rose, which parameters mattered, and where it was best."""
    figures = plot_trials(study(0.1, 0.4, 0.3, 0.5), "f1_macro")
    assert set(figures) == {"optimization_history", "slice", "param_importances"}


@pytest.mark.parametrize(("values", "names"), [((0.5,), 1), ((0.5, 0.5), 2)])
def test_a_picture_that_so_few_trials_do_not_allow_is_left_out(values: tuple[float, ...], names: int) -> None:
    """Without a difference nothing has importance."""
    assert len(plot_trials(study(*values), "f1_macro")) == names


def test_pyplot_is_left_as_it_was() -> None:
    """No open figure, no style of Optuna's."""
    before = dict(mpl.rcParams)
    plot_trials(study(0.1, 0.4), "f1_macro")
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before
