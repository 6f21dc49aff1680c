"""Staging: checks of a version as it would be served."""

import logging
import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.metrics import Task
from waterflow.config.schema import PipelineConfig
from waterflow.data.canonical import read_parquet
from waterflow.data.columns import as_served
from waterflow.errors import StoreError
from waterflow.plurals import counted
from waterflow.promotion.serving_process import Served, ServingProcess
from waterflow.provenance.hashing import digest_of, sha256_of
from waterflow.records.data import Blob, Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.promotion import Check, StagedVersion
from waterflow.reporting.step_manifest import log_step
from waterflow.resources import Resources
from waterflow.snapshots import load_fit_rows, load_rows
from waterflow.stores.base import get_file, scratch_folder
from waterflow.tracking.artifacts import write_record
from waterflow.tracking.registry import CHALLENGER, Version
from waterflow.tracking.tags import STAGING_CONDITIONS, STAGING_DIGEST, STAGING_FILE, STAGING_PREFIX

logger = logging.getLogger(__name__)

MAX_ROWS = 500


@contextmanager
def serving_process() -> Iterator[ServingProcess]:
    """Start the fresh process early: its imports take seconds."""
    with scratch_folder() as folder, ServingProcess(folder) as process:
        yield process


def check_version(
    process: ServingProcess,
    version: int,
    prepared: Prepared,
    evaluated: Evaluated,
    config: PipelineConfig,
    resources: Resources,
) -> tuple[Check, ...]:
    """Serve a version's registered files, and check the version.

    They are served in the fresh process. Each check becomes a tag of the version, and a tag and a line of
    `waterflow/staging.json` of its run. A check that fails is no error; raises UnreachableError when a server does not
    answer.
    """
    with scratch_folder() as folder:
        try:
            model_id = resources.registry.served_model(config.name, version)
            rows, expected, agreement = load_expected(model_id, prepared, evaluated, config, resources)
            files = resources.models.fetch_model(model_id, config.name, folder)
        except StoreError as error:
            gone = Check(name="files", passed=False, actual=str(error), expected="all there, as they were logged")
            checks: tuple[Check, ...] = (gone,)
        else:
            served = process.serve(files, as_served(rows), config.promotion.staging.latency_p95_ms)
            checks = (*check_serving(served, expected, _size_mb(files), config), *agreement)
    for check in checks:
        logger.info("%s: %s (%s), expected: %s", check.name, _state(check), check.actual, check.expected)
    _log_checks(version, prepared, config, checks, resources)
    return checks


def stage_version(
    version: int, prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, resources: Resources
) -> tuple[Check, ...]:
    """Make a version the challenger and run its staging checks."""
    resources.registry.set_alias(config.name, CHALLENGER, version)
    with serving_process() as process:
        return check_version(process, version, prepared, evaluated, config, resources)


def find_staged(prepared: Prepared, resources: Resources) -> StagedVersion | None:
    """Return the staging checks of a run's earlier attempt. None without signed ones."""
    run = resources.runs.get_run(prepared.parent_run_id)
    if STAGING_DIGEST not in run.tags:
        return None
    try:
        return StagedVersion.from_json(resources.runs.read_verified(run, STAGING_FILE))
    except StoreError as error:
        logger.warning("run %s: %s; its version is staged again", run.run_id, error)
        return None


def load_expected(
    model_id: str, prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, resources: Resources
) -> tuple[pd.DataFrame, pd.DataFrame, tuple[Check, ...]]:
    """Return held-out rows and what the model predicts of them.

    Also returns how the model agrees with the compared one, if it is another, on rows that both were fitted on: on
    others, a model that remembers its rows differs from itself. The predictions of a model that was compared as a whole
    are those recorded. Rows are at most 500, spread evenly. Raises StoreError when anything is gone.
    """
    if evaluated.verdict is None or evaluated.verdict.predictions is None:
        raise StoreError("the run kept no predictions of its holdout, so there is nothing to compare with")
    rows = load_rows(prepared, config, resources, ("test",))["test"].features
    chosen = _spread(len(rows))
    sample = rows.iloc[chosen].reset_index(drop=True)
    if len(evaluated.compared) <= 1 and model_id == evaluated.challenger.model_id:
        recorded = _read_frame(evaluated.verdict.predictions, resources)
        return sample, recorded.iloc[chosen].reset_index(drop=True), ()
    from waterflow.promotion.agreement import check_agreement, tabulate

    ids = (model_id, evaluated.challenger.model_id)
    models = [resources.models.load_model(name, config.name) for name in ids]
    learnt, _ = load_fit_rows(prepared, config, evaluated.challenger.fitted_on, resources)
    both = learnt.features.iloc[_spread(len(learnt.features))]
    own, compared = (tabulate(model, both, config.task) for model in models)
    return sample, tabulate(models[0], sample, config.task), check_agreement(own, compared, config)


def check_serving(served: Served, expected: pd.DataFrame, size_mb: float, config: PipelineConfig) -> tuple[Check, ...]:
    """Return the checks that the fresh process reached."""
    limits = config.promotion.staging
    has_loaded = served.load_seconds is not None
    actual = f"{served.load_seconds:.2f} s" if has_loaded else served.error or "nothing"
    loads = Check(name="loads", passed=has_loaded, actual=actual, expected="in a fresh process")
    if not has_loaded:
        return (loads,)
    names = "none" if served.inputs is None else counted(len(served.inputs), "column")
    has_example = served.example_rows is not None
    example = f"{counted(served.example_rows or 0, 'row')} predicted" if has_example else served.error or "none"
    at_most = f"at most {limits.size_mb:g} MB"
    return (
        loads,
        Check(name="signature", passed=bool(served.inputs), actual=names, expected="names of the raw columns"),
        Check(name="input_example", passed=has_example, actual=example, expected="can be predicted"),
        compare_predictions(served, expected, config.task, limits.tolerance),
        *([check_latency(served, limits.latency_p95_ms)] if served.batch_p95_ms else []),
        Check(name="size", passed=size_mb <= limits.size_mb, actual=f"{size_mb:.3g} MB", expected=at_most),
    )


def check_latency(served: Served, budget_ms: float) -> Check:
    """Compare the CPU time of single rows with the budget. An unsteady measurement is no failure."""
    actual = f"p95 {served.batch_p95_ms[-1]:.1f} ms of CPU for a single row"
    if not served.is_steady:
        actual += ", unsteady: the machine is too busy to tell"
    passed = not served.is_steady or served.batch_p95_ms[-1] <= budget_ms
    return Check(name="latency", passed=passed, actual=actual, expected=f"at most {budget_ms:g} ms")


def compare_predictions(served: Served, recorded: pd.DataFrame, task: Task, tolerance: float) -> Check:
    """Compare served with recorded predictions.

    Classes have to be equal, numbers and probabilities at most `tolerance` apart.
    """
    expected = f"as in training, within {tolerance:g}"
    if served.predictions is None:
        return Check(name="predictions", passed=False, actual=served.error or "none", expected=expected)
    before = recorded["challenger"]
    if task == "classification":
        differing = sum(now != then for now, then in zip(served.predictions, before.tolist(), strict=True))
        if differing:
            actual = f"{differing} of {len(before)} rows differ"
            return Check(name="predictions", passed=False, actual=actual, expected=expected)
        columns = [f"challenger_probability_{name}" for name in served.classes]
        apart = _distance(served.probabilities, recorded[columns]) if columns else 0.0
    else:
        apart = _distance(served.predictions, before)
    actual = f"{counted(len(before), 'row')}, at most {apart:.2g} apart"
    return Check(name="predictions", passed=apart <= tolerance, actual=actual, expected=expected)


def staging_conditions(config: PipelineConfig) -> str:
    """Return a digest of what staging depends on. That is, beside the model: budget, code and machine."""
    code = [sha256_of(Path(__file__).with_name(f"{name}.py")) for name in ("staging", "serving_check")]
    machine = [platform.machine(), _processor(), os.cpu_count()]
    return digest_of([config.promotion.staging.model_dump(mode="json"), code, machine])


def can_be_staged_again(version: Version, config: PipelineConfig) -> bool:
    """Return whether a version can be staged again.

    It can if it failed staging under other conditions than the present.
    """
    failed = any(name.startswith(STAGING_PREFIX) and text.startswith("failed") for name, text in version.tags.items())
    return failed and version.tags.get(STAGING_CONDITIONS) != staging_conditions(config)


def _spread(rows: int) -> NDArray[np.intp]:
    """Return the positions of the rows to check."""
    return np.unique(np.linspace(0, rows - 1, min(MAX_ROWS, rows)).astype(np.intp))


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text("utf-8").splitlines() if information.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _log_checks(
    version: int, prepared: Prepared, config: PipelineConfig, checks: tuple[Check, ...], resources: Resources
) -> None:
    tags = {STAGING_PREFIX + check.name: f"{_state(check)}: {check.actual}; {check.expected}" for check in checks}
    version_tags = tags | {STAGING_CONDITIONS: staging_conditions(config)}
    resources.registry.tag_version(config.name, version, version_tags)
    with scratch_folder() as folder:
        write_record(folder, StagedVersion(version=version, checks=checks).to_json(), STAGING_FILE)
        run_id = prepared.parent_run_id
        log_step("staging", prepared.pipeline, run_id, folder, resources, tags=tags, version_tags=version_tags)


def _distance(now: Sequence[Any], then: pd.DataFrame | pd.Series) -> float:
    return float(np.abs(np.asarray(now, dtype=float) - then.to_numpy(dtype=float)).max())


def _state(check: Check) -> str:
    return "passed" if check.passed else "failed"


def _read_frame(blob: Blob, resources: Resources) -> pd.DataFrame:
    with scratch_folder() as folder:
        return read_parquet(get_file(resources.store, blob, folder / "frame.parquet"))


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
