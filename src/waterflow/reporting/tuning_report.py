"""What a run keeps of its tuning: the trials as a table, and Optuna's pictures of them."""

from pathlib import Path

from waterflow.training.tuning.tuner import Tuned


def write_trials(folder: Path, tuned: Tuned, main_metric: str) -> None:
    """Write `trials.csv` and the pictures that so many trials allow."""
    from waterflow.reporting.tuning_plots import plot_trials

    folder.mkdir()
    tuned.trials.to_csv(folder / "trials.csv", index=False)
    for name, figure in plot_trials(tuned.study, main_metric).items():
        figure.savefig(folder / f"{name}.png", dpi=110, bbox_inches="tight")
