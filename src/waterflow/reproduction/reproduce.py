"""reproduce: fit a registered version again from its records. Runs in another process."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from waterflow.data.canonical import read_parquet, write_parquet
from waterflow.errors import ReproduceError, StoreError
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.promotion.opponents import load_holdout
from waterflow.promotion.predictions import predict_holdout
from waterflow.records.base import Record
from waterflow.records.training import Trained
from waterflow.reproduction.code_checkout import CodeCheckout, find_code
from waterflow.reproduction.comparison import (
    SHOWN_ROWS,
    ComparedPredictions,
    ComparedValue,
    compare_predictions,
    compare_values,
    not_compared,
    tolerance_of,
)
from waterflow.reproduction.environment_check import check_environment
from waterflow.reproduction.worker import tabulate_predictions
from waterflow.resources import Resources
from waterflow.stores.base import get_file, scratch_folder
from waterflow.tracking import tags as tag
from waterflow.tracking.artifacts import write_json
from waterflow.tracking.registry import Version
from waterflow.tracking.runs import param_text
from waterflow.training.parallelism import count_threads

logger = logging.getLogger(__name__)


class Reproduction(Record):
    """The outcome of fitting a version again.

    `lines` are all comparisons, `rows` the held-out rows, `first_rows` some of those that differ. `tolerance` is the
    largest difference that still counts as equal. `run_id` is the MLflow run that has all of this.
    """

    model: str
    version: int
    candidate: str
    reproduced: bool
    tolerance: float
    code: str
    threads: int
    rows: int
    rows_differing: int
    largest_difference: float | None
    first_rows: tuple[dict[str, Any], ...] = ()
    lines: tuple[ComparedValue, ...]
    fit_seconds: float
    run_id: str = ""

    @property
    def not_compared(self) -> tuple[str, ...]:
        """Return what could not be compared. Nothing is recorded of it any more."""
        return tuple(line.what for line in self.lines if line.agrees is None)


def reproduce(version: Version, resources: Resources, report: Callable[[str], None] = logger.info) -> Reproduction:
    """Fit a version again and compare. Uses its recorded inputs, parameters and code.

    Nothing is tuned and no cache is used. The outcome is logged as a run of its own; `report` is called with lines of
    progress. Raises StoreError when an input is gone or altered, or the registry serves other files than those of the
    fit; ReproduceError when environment or code are not those of the fit, or the fit fails.
    """
    history, started = VersionHistory(version, resources), datetime.now(UTC)
    _check_models(history, resources)
    with scratch_folder() as folder:
        check_environment(history, resources, folder)
        threads = fetch_inputs(history, resources, folder)
        report(f"rows {history.prepared.data.digest[:12]}, split and configuration are what was recorded")
        code = find_code(history, resources, folder)
        report(f"training {history.trained.candidate} again with {code.description}, {threads} threads")
        result = fit_again(history, code, threads, folder)
        lines, predictions = compare_fits(history, result, read_parquet(folder / "predictions.parquet"), resources)
        for fit in _other_fits(history):
            report(f"training the fit on {fit.fitted_on} again, which was compared in its place")
            fit_again(history, code, write_orders(fit, folder), folder)
            again = read_parquet(folder / "predictions.parquet")
            found = compare_predictions(_predict(fit.model_id, history, resources), again, _tolerance(history))
            lines.append(found.summarize(f"predictions of the fit on {fit.fitted_on}"))
            predictions = predictions if len(predictions.differing) else found
        first = json.loads(predictions.differing.head(SHOWN_ROWS).to_json(orient="records", double_precision=15))
        outcome = Reproduction(
            model=version.model,
            version=version.version,
            candidate=history.trained.candidate,
            reproduced=all(line.agrees is not False for line in lines),
            tolerance=_tolerance(history),
            code=code.description,
            threads=threads,
            rows=predictions.count,
            rows_differing=len(predictions.differing),
            largest_difference=predictions.largest,
            first_rows=tuple(first),
            lines=tuple(lines),
            fit_seconds=result["fit_seconds"],
        )
        run_id = _log(outcome, history, predictions.differing, started, resources)
    return outcome.model_copy(update={"run_id": run_id})


def fetch_inputs(history: VersionHistory, resources: Resources, folder: Path) -> int:
    """Fetch a fit's inputs and write the worker's orders. Inputs are fetched by digest. Returns the threads."""
    prepared = history.prepared
    files = {"data.parquet": prepared.data, "split.parquet": prepared.split, "config.json": prepared.config}
    for name, blob in files.items():
        get_file(resources.store, blob, folder / name)
    return write_orders(history.trained, folder)


def write_orders(trained: Trained, folder: Path) -> int:
    """Write which fit the worker has to make. Returns its threads."""
    threads = trained.threads or count_threads()
    fit = {"candidate": trained.candidate, "choices": trained.choices.to_json(), "threads": threads}
    write_json(folder / "fit.json", fit | {"fitted_on": trained.fitted_on.to_json()})
    return threads


def fit_again(history: VersionHistory, code: CodeCheckout, threads: int, folder: Path) -> dict[str, Any]:
    """Run the worker in its own process. Returns its result. Raises ReproduceError when it fails."""
    command = [sys.executable, "-P", "-m", "waterflow.reproduction.worker", str(folder)]
    with (folder / "log").open("wb") as log:
        done = subprocess.run(
            command, stdout=log, stderr=log, cwd=code.folder, env=code.environment(threads), check=False
        )
    result = folder / "result.json"
    if done.returncode or not result.is_file():
        printed = (folder / "log").read_text("utf-8", errors="replace").strip().splitlines()
        raise ReproduceError(
            f"{history.name}: training it again with {code.description} ended with {done.returncode} "
            f"({printed[-1] if printed else 'silently'}); that code may lack a module that was never committed"
        )
    return dict(json.loads(result.read_text("utf-8")))


def compare_fits(
    history: VersionHistory, result: Mapping[str, Any], again: pd.DataFrame, resources: Resources
) -> tuple[list[ComparedValue], ComparedPredictions]:
    """Compare digests, parameters, metrics, and predictions of the holdout.

    Predictions are compared with those of the registered model and, where it was compared itself, with those that its
    verdict is based on. The second value returned is the comparison that differs, if one does.
    """
    prepared, tolerance = history.prepared, _tolerance(history)
    digests = {"data": prepared.data.digest, "split": prepared.split.digest}
    lines = compare_values("digest of", digests, {name: result[f"{name}_digest"] for name in digests})
    params = {name: param_text(value) for name, value in result["params"].items()}
    lines += compare_values("parameter", dict(history.fit_run.params), params)
    metrics = dict(result["metrics"])
    if not _was_compared(history):  # the scores of the holdout are those of other fits
        metrics = {name: value for name, value in metrics.items() if not name.startswith(tag.TEST_METRIC)}
    lines += compare_values("metric", _recorded_metrics(history), metrics, tolerance)
    loaded = compare_predictions(_predict(history.model.model_id, history, resources), again, tolerance)
    lines.append(loaded.summarize("predictions of the registered model"))
    if not _was_compared(history):
        return lines, loaded
    try:
        compared = compare_predictions(_recorded_predictions(history, again, resources), again, tolerance)
    except StoreError as error:
        return [*lines, not_compared("predictions when it was compared", str(error))], loaded
    lines.append(compared.summarize("predictions when it was compared"))
    return lines, loaded if len(loaded.differing) else compared


def _tolerance(history: VersionHistory) -> float:
    return tolerance_of(history.config.candidates[history.trained.candidate].estimator)


def _recorded_metrics(history: VersionHistory) -> dict[str, float]:
    """Return MLflow's scores of the validation rows and the holdout.

    The former are from the fit, the latter from the evaluation. Means over folds are left out: no fold is fitted again.
    """
    fit = history.fit_run.metrics
    recorded = {name: value for name, value in fit.items() if name.startswith(tag.VALIDATION_METRIC)}
    if not _was_compared(history):
        return recorded
    evaluated = fit if history.config.strategy.select_on == "test" else history.registration_run.metrics
    return recorded | {name: value for name, value in evaluated.items() if name.startswith(tag.TEST_METRIC)}


def _was_compared(history: VersionHistory) -> bool:
    """Return whether all recorded predictions are this fit's. Otherwise other fits of its recipe were compared."""
    try:
        evaluated = history.evaluated
    except StoreError:  # the predictions cannot be compared then, and are reported so
        return True
    return len(evaluated.compared) <= 1 and evaluated.challenger.model_id == history.model.model_id


def _other_fits(history: VersionHistory) -> list[Trained]:
    """Return the fits that were compared for the served model."""
    compared = () if _was_compared(history) else history.evaluated.compared
    return [fit for fit in compared if fit.model_id != history.model.model_id]


def _check_models(history: VersionHistory, resources: Resources) -> None:
    """Raise StoreError unless all models to load are recorded."""
    verifier = Verifier(resources)
    for found in (
        verifier.verify_served(history),
        *(verifier.verify_fit(fit, history.version.model) for fit in _other_fits(history)),
    ):
        if found.resolves is False:
            raise StoreError(found.reason)


def _predict(model_id: str, history: VersionHistory, resources: Resources) -> pd.DataFrame:
    holdout = load_holdout(history.prepared, resources)
    model = resources.models.load_model(model_id, history.version.model)
    predicted = predict_holdout(model, holdout.rows, history.config)
    return tabulate_predictions(predicted, np.flatnonzero(holdout.part == "test"))


def _recorded_predictions(history: VersionHistory, again: pd.DataFrame, resources: Resources) -> pd.DataFrame:
    """Return the predictions of the verdict. They have the columns of `again`. Raises StoreError when they are gone."""
    verdict = history.evaluated.verdict
    if verdict is None or verdict.predictions is None:
        raise StoreError("the evaluation stored none")
    with scratch_folder() as folder:
        stored = read_parquet(get_file(resources.store, verdict.predictions, folder / "predictions.parquet"))
    names = {"challenger": "prediction"} | {
        f"challenger_{name}": name for name in again.columns if name.startswith("probability_")
    }
    return stored.rename(columns=names)[[name for name in again.columns if name in {"row", "truth", *names.values()}]]


def _log(
    outcome: Reproduction, history: VersionHistory, differing: pd.DataFrame, started: datetime, resources: Resources
) -> str:
    reference = f"{outcome.model}@{outcome.version}"
    tags = {
        tag.RUN_KIND: "reproduction",
        tag.PIPELINE: history.prepared.pipeline,
        tag.REPRODUCES: reference,
        tag.REPRODUCED: str(outcome.reproduced).lower(),
        tag.MODEL_ID: history.model.model_id,
        tag.DATA_DIGEST: history.prepared.data.digest,
        tag.REPRODUCED_CODE: outcome.code,
    }
    with scratch_folder() as folder:
        write_json(folder / tag.COMPARISON_FILE, outcome.to_json())
        if len(differing):
            write_parquet(differing, folder / tag.DIFFERING_ROWS_FILE)
        return resources.runs.log_finished_run(
            history.fit_run.experiment_id,
            name=f"reproduce {reference}",
            tags=tags,
            metrics={"rows_differing": outcome.rows_differing, "fit_seconds": outcome.fit_seconds},
            folder=folder,
            started_at=started,
        )
