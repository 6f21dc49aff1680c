"""DVC's metrics and plots of what evaluate found. They are files that tools beside MLflow read."""

from pathlib import Path

import pandas as pd

from waterflow.data.canonical import read_parquet
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.resources import Resources, load_config
from waterflow.stores.base import get_file, scratch_folder
from waterflow.tracking.artifacts import write_json


def write_metrics(path: Path, prepared: Prepared, evaluated: Evaluated, resources: Resources) -> None:
    """Write metrics and counts of rows as flat JSON. Metrics are those of tables, of the winner on the holdout."""
    shown = load_config(prepared, resources).shown_metrics
    found = {name: evaluated.holdout_metrics[name] for name in shown if name in evaluated.holdout_metrics}
    write_json(path, found | {"holdout_rows": evaluated.holdout_rows, "rows": prepared.rows})


def write_plots(folder: Path, evaluated: Evaluated, resources: Resources) -> None:
    """Write `candidates.csv` (candidate, score) and `holdout.csv` (actual, predicted)."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = [(entry.candidate, entry.metrics[evaluated.main_metric]) for entry in evaluated.ranked]
    pd.DataFrame(scores, columns=["candidate", "score"]).to_csv(folder / "candidates.csv", index=False)
    predictions = evaluated.verdict.predictions if evaluated.verdict else None
    rows = pd.DataFrame({"truth": [], "challenger": []})
    if predictions is not None:
        with scratch_folder() as scratch:
            rows = read_parquet(get_file(resources.store, predictions, scratch / "predictions.parquet"))
    holdout = rows[["truth", "challenger"]].set_axis(["actual", "predicted"], axis=1)
    holdout.to_csv(folder / "holdout.csv", index=False)
