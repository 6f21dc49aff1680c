"""reproduce: a registered version trained again, from what was recorded, in a process of its own."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet, write_parquet
from waterflow.errors import ReproduceError
from waterflow.lineage.version_history import Chain
from waterflow.promotion.opponents import load_holdout, predict_holdout
from waterflow.records import Record
from waterflow.reproduction.comparison import (
    SHOWN_ROWS,
    Compared,
    Rows,
    compare_numbers,
    compare_rows,
    compare_texts,
    tolerance_of,
)
from waterflow.reproduction.environment_check import Code, check_conditions, environment_of, find_code
from waterflow.reproduction.worker import frame_of
from waterflow.resources import Resources, count_threads, scratch_folder, write_json
from waterflow.stores.base import get_file
from waterflow.tracking import tags as tag
from waterflow.tracking.lookup import log_aside
from waterflow.tracking.model_store import Version
from waterflow.tracking.runs import param_text

logger = logging.getLogger(__name__)

Say = Callable[[str], None]


class Reproduction(Record):
    """What came of training a version again.

    `lines` hold everything that was compared, `rows` how many held-out rows, `first_rows` some of those that differ.
    `tolerance` is the largest difference that still counts as the same. `run_id` is the MLflow run that says all this.
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
    lines: tuple[Compared, ...]
    fit_seconds: float
    run_id: str = ""


def reproduce(version: Version, resources: Resources, say: Say = logger.info) -> Reproduction:
    """Train a version again from the recorded rows, split, configuration, parameters and code, and compare.

    Nothing is tuned and no cache is asked. The outcome is logged as a run of its own. Raises StoreError when an object
    is gone or altered, ReproduceError when packages or code are not those of then, or the training fails.
    """
    chain, started = Chain(version, resources), datetime.now(UTC)
    with scratch_folder() as folder:
        check_conditions(chain, resources, folder)
        config, threads = fetch_inputs(chain, resources, folder)
        say(f"rows {chain.prepared.data.digest[:12]}, split and configuration are what was recorded")
        code = find_code(chain, resources, folder)
        say(f"training {chain.trained.candidate} again with {code.words}, {threads} threads")
        again = train_again(chain, code, threads, folder)
        now = read_parquet(folder / "predictions.parquet")
        found, rows = compare(chain, config, again, now, resources)
        outcome = _sum_up(chain, code, threads, found, rows, again["fit_seconds"], tolerance_for(chain, config))
        run_id = _log(outcome, chain, rows.differing, started, resources)
    return outcome.model_copy(update={"run_id": run_id})


def fetch_inputs(chain: Chain, resources: Resources, folder: Path) -> tuple[PipelineConfig, int]:
    """Fetch, by digest, all that a fit takes, and write what to do with it; gives the configuration and the threads."""
    prepared, trained = chain.prepared, chain.trained
    get_file(resources.store, prepared.data, folder / "data.parquet")
    get_file(resources.store, prepared.split, folder / "split.parquet")
    get_file(resources.store, prepared.config, folder / "config.json")
    config = PipelineConfig.model_validate_json((folder / "config.json").read_text("utf-8"))
    if trained.trials and not trained.fit_params:
        raise ReproduceError(f"{chain.name} is older than `waterflow reproduce`: its record lacks the parameters")
    threads = trained.threads or count_threads()
    write_json(folder / "fit.json", {"candidate": trained.candidate, "params": trained.fit_params, "threads": threads})
    return config, threads


def train_again(chain: Chain, code: Code, threads: int, folder: Path) -> dict[str, Any]:
    """Run the program `refit` in a process of its own and give its answer; raises ReproduceError when it fails."""
    command = [sys.executable, "-P", "-m", "waterflow.reproduction.worker", str(folder)]
    with (folder / "log").open("wb") as log:
        done = subprocess.run(
            command, stdout=log, stderr=log, cwd=code.folder, env=environment_of(code, threads), check=False
        )
    answer = folder / "refit.json"
    if done.returncode or not answer.is_file():
        said = (folder / "log").read_text("utf-8", errors="replace").strip().splitlines()
        raise ReproduceError(
            f"{chain.name}: training it again with {code.words} ended with {done.returncode} "
            f"({said[-1] if said else 'silently'}); the code of then may lack a module that was never committed"
        )
    return dict(json.loads(answer.read_text("utf-8")))


def compare(
    chain: Chain, config: PipelineConfig, again: dict[str, Any], now: pd.DataFrame, resources: Resources
) -> tuple[list[Compared], Rows]:
    """Compare digests, parameters, metrics, and predictions, with the model as it loads and as it was judged."""
    prepared, tolerance = chain.prepared, tolerance_for(chain, config)
    digests = {"data": prepared.data.digest, "split": prepared.split.digest}
    lines = compare_texts("digest of", digests, {name: again[f"{name}_digest"] for name in digests})
    lines += compare_texts(
        "parameter", dict(chain.fit_run.params), {name: param_text(value) for name, value in again["params"].items()}
    )
    recorded = _metrics(chain, config)
    lines += compare_numbers("metric", recorded, again["metrics"], tolerance)
    loaded = compare_rows(_loaded(chain, config, resources), now, tolerance)
    lines.append(loaded.line("predictions of the registered model"))
    said = _said(chain, now, resources)
    if said is None:
        return lines, loaded
    judged = compare_rows(said, now, tolerance)
    lines.append(judged.line("predictions when it was judged"))
    return lines, loaded if len(loaded.differing) else judged


def tolerance_for(chain: Chain, config: PipelineConfig) -> float:
    """Give the largest difference that counts as none for the version's estimator."""
    return tolerance_of(config.candidates[chain.trained.candidate].estimator)


def _metrics(chain: Chain, config: PipelineConfig) -> dict[str, float]:
    """Give the scores as MLflow has them: of the validation rows from the fit, of the holdout from the evaluation.

    Means over folds are left out: no fold is fitted again.
    """
    part = config.strategy.select_on
    fitted = {name: value for name, value in chain.fit_run.metrics.items() if name.startswith(tag.VALIDATION_METRIC)}
    judged = chain.fit_run.metrics if part == "test" else chain.own_run.metrics
    return fitted | {name: value for name, value in judged.items() if name.startswith(tag.TEST_METRIC)}


def _loaded(chain: Chain, config: PipelineConfig, resources: Resources) -> pd.DataFrame:
    holdout = load_holdout(chain.prepared, resources)
    predicted = predict_holdout(resources.models.load_model(chain.model.model_id), holdout.rows, config)
    return frame_of(predicted, np.flatnonzero(holdout.part == "test"))


def _said(chain: Chain, now: pd.DataFrame, resources: Resources) -> pd.DataFrame | None:
    """Read the predictions that were stored with the verdict, in the shape of the new ones; None where none were."""
    verdict = chain.evaluated.verdict
    if verdict is None or verdict.predictions is None:
        return None
    with scratch_folder() as folder:
        stored = read_parquet(get_file(resources.store, verdict.predictions, folder / "said.parquet"))
    names = {"challenger": "prediction"} | {
        f"challenger_{name}": name for name in now.columns if name.startswith("probability_")
    }
    return stored.rename(columns=names)[[name for name in now.columns if name in {"row", "truth", *names.values()}]]


def _sum_up(
    chain: Chain, code: Code, threads: int, lines: list[Compared], rows: Rows, seconds: float, tolerance: float
) -> Reproduction:
    first = json.loads(rows.differing.head(SHOWN_ROWS).to_json(orient="records", double_precision=15))
    return Reproduction(
        model=chain.version.model,
        version=chain.version.version,
        candidate=chain.trained.candidate,
        reproduced=all(line.agrees for line in lines),
        tolerance=tolerance,
        code=code.words,
        threads=threads,
        rows=rows.count,
        rows_differing=len(rows.differing),
        largest_difference=rows.largest,
        first_rows=tuple(first),
        lines=tuple(lines),
        fit_seconds=seconds,
    )


def _log(outcome: Reproduction, chain: Chain, differing: pd.DataFrame, started: datetime, resources: Resources) -> str:
    reference = f"{outcome.model}@{outcome.version}"
    tags = {
        tag.RUN_KIND: "reproduction",
        tag.PIPELINE: chain.prepared.pipeline,
        tag.REPRODUCES: reference,
        tag.REPRODUCED: str(outcome.reproduced).lower(),
        tag.MODEL_ID: chain.model.model_id,
        tag.DATA_DIGEST: chain.prepared.data.digest,
        tag.REPRODUCED_CODE: outcome.code,
    }
    with scratch_folder() as folder:
        write_json(folder / tag.COMPARISON_FILE, outcome.to_json())
        if len(differing):
            write_parquet(differing, folder / tag.DIFFERING_ROWS_FILE)
        return log_aside(
            resources.runs,
            chain.fit_run.experiment_id,
            name=f"reproduce {reference}",
            tags=tags,
            metrics={"rows_differing": outcome.rows_differing, "fit_seconds": outcome.fit_seconds},
            folder=folder,
            started_at=started,
        )
