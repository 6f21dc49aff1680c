"""The process that fits a version again. `reproduce` runs it, at the recorded commit if need be.

    python -m waterflow.reproduction.worker FOLDER

FOLDER holds `config.json`, `data.parquet`, `split.parquet` and `fit.json` (candidate, choices, threads). The process
uses no store, cache or tracking server. It writes `predictions.parquet`, a row for each held-out row, and
`result.json`.

Runs record this module's name as the way to fit them again: it must not move, and must keep reading these files.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet, write_parquet
from waterflow.estimators.calibrated import unwrap_estimator
from waterflow.provenance.hashing import sha256_of
from waterflow.records.data import Part
from waterflow.records.training import FitChoices, FitRows
from waterflow.scoring.metrics import Predicted, predict_rows
from waterflow.scoring.own_metrics import score_predictions
from waterflow.training.fitting import fit_candidate
from waterflow.training.partitions import read_partitions, select_rows


def main(folder: Path) -> None:
    """Fit a candidate, predict the holdout, and write both files."""
    config = PipelineConfig.model_validate_json((folder / "config.json").read_text("utf-8"))
    fit = json.loads((folder / "fit.json").read_text("utf-8"))
    data, split = folder / "data.parquet", folder / "split.parquet"
    fitted_on, choices = FitRows.from_json(fit.get("fitted_on", {})), FitChoices.from_json(fit["choices"])
    watches = config.strategy.select_on == "validation" and fitted_on == FitRows()
    parts: tuple[Part, ...] = ("validation", "test") if watches else ("test",)
    rows = read_partitions(data, split, config, parts)
    candidate, learnt = fit["candidate"], select_rows(data, split, config, fitted_on)[0]
    fitted = fit_candidate(config, candidate, learnt, rows.get("validation"), choices, fit["threads"])
    scores: dict[str, float] = {}
    for part in parts:
        chosen = rows[part]
        predicted = predict_rows(fitted.pipeline, chosen.features, chosen.target, config.task, chosen.weights)
        scores |= {f"{part}_{name}": value for name, value in score_predictions(predicted, config).items()}
    held_out = np.flatnonzero(read_parquet(split)["part"] == "test")
    # `predicted` is of the last part, the holdout.
    write_parquet(tabulate_predictions(predicted, held_out), folder / "predictions.parquet")
    estimator = unwrap_estimator(fitted.pipeline.named_steps["model"])
    params = {"estimator": config.candidates[candidate].estimator, **estimator.get_params(deep=False)}
    result = {
        "data_digest": sha256_of(data),
        "split_digest": sha256_of(split),
        "params": {name: str(value) for name, value in params.items()},
        "metrics": scores,
        "fit_seconds": fitted.fit_seconds,
    }
    (folder / "result.json").write_text(json.dumps(result), "utf-8")


def tabulate_predictions(predicted: Predicted, rows: Any) -> pd.DataFrame:
    """Return predictions with columns `row`, `truth`, `prediction` and `probability_CLASS`."""
    columns = {"row": rows, "truth": predicted.truth, "prediction": predicted.prediction}
    if predicted.probabilities is not None:
        for position, name in enumerate(predicted.classes):
            columns[f"probability_{name}"] = predicted.probabilities[:, position]
    return pd.DataFrame(columns)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
