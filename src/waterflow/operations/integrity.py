"""Whether a tracking store still says what the steps computed, one check at a time."""

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from waterflow.config.schema import PipelineConfig
from waterflow.errors import StoreError, TrackingError, WaterflowError, first_line
from waterflow.lineage.verification import Verification, Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.operations.disk_usage import objects_of
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.run import Origin
from waterflow.records.training import Trained
from waterflow.resources import Resources, load_config
from waterflow.tracking import tags as tag
from waterflow.tracking.registry import Version
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.runs import param_text

METRICS = "metrics read back as computed"
PARAMETERS = "parameters read back as computed"
ARTIFACTS = "artifacts equal to their digests"
ENDED = "runs that are not stuck"
WITH_RUN = "versions with their runs"
WITH_FILES = "versions with their model's files"

STUCK_AFTER = timedelta(days=1)
UNFINISHED = ("queued", "running")


class IntegrityResult(NamedTuple):
    """The result of one check on one subject; `problem` is None where all is well."""

    check: str
    subject: str
    problem: str | None


@dataclass(frozen=True)
class PipelineInspection:
    """The checks of one pipeline's runs and versions."""

    runs: Sequence[TrackedRun]
    versions: Sequence[Version]
    resources: Resources
    verifier: Verifier

    def inspect(self) -> Iterator[IntegrityResult]:
        """Yield the result of every check."""
        for run in self.runs:
            yield IntegrityResult(ENDED, _name(run), self._why_stuck(run))
            if run.status == "FINISHED" and tag.RUN_KIND not in run.tags:
                yield from self._compare_values(run)
                yield from self._verify_artifacts(run)
        for version in self.versions:
            yield from self._inspect_version(VersionHistory(version, self.resources))

    def _inspect_version(self, history: VersionHistory) -> Iterator[IntegrityResult]:
        subject = f"{history.version.model}@{history.version.version}"
        yield IntegrityResult(WITH_RUN, subject, _problem_of(lambda: (history.fit_run, history.registration_run)))
        yield IntegrityResult(WITH_FILES, subject, self._why_without_files(history))

    def _compare_values(self, run: TrackedRun) -> Iterator[IntegrityResult]:
        read = self._values_of_candidate if tag.CANDIDATE in run.tags else self._values_of_parent
        try:
            metrics, params = read(run)
        except (WaterflowError, ValueError) as error:  # the latter is pydantic's
            yield IntegrityResult(METRICS, _name(run), first_line(error))
            return
        yield IntegrityResult(METRICS, _name(run), _first_difference(metrics, run.metrics))
        yield IntegrityResult(PARAMETERS, _name(run), _first_difference(params, run.params))

    def _values_of_candidate(self, run: TrackedRun) -> tuple[Mapping[str, float], Mapping[str, str]]:
        trained = Trained.from_json(self.resources.runs.read_verified(run, tag.RECORD_FILE))
        if trained.cached_from is not None:
            return {}, {}  # the values of the fit are those of the run that it came from
        part = trained.scored_on
        metrics = {f"{part}_{name}": value for name, value in trained.metrics.items()}
        metrics |= {f"{part}_{name}_std": value for name, value in trained.spread.items()}
        chosen = self._config(run.tags.get(tag.MLFLOW_PARENT_RUN_ID, "")).candidates[trained.candidate]
        params: dict[str, Any] = {"estimator": chosen.estimator, **chosen.params, **trained.fit_params}
        return metrics | {"fit_seconds": trained.fit_seconds}, {name: param_text(params[name]) for name in params}

    def _values_of_parent(self, run: TrackedRun) -> tuple[Mapping[str, float], Mapping[str, str]]:
        prepared = Prepared.from_json(self.resources.runs.read_verified(run, tag.RECORD_FILE))
        params = {"rows": str(prepared.rows), "candidates": ", ".join(prepared.candidates)}
        params |= {f"rows_{share.part}": str(share.rows) for share in prepared.shares}
        if tag.REGISTERED not in run.tags:  # it led to no version, and maybe not to an evaluation
            return {}, params
        evaluated = Evaluated.from_json(self.resources.runs.read_verified(run, tag.EVALUATED_FILE))
        if evaluated.cached_from is not None:
            return {}, params
        return {tag.TEST_METRIC + name: value for name, value in evaluated.holdout_metrics.items()}, params

    def _config(self, parent_run_id: str) -> PipelineConfig:
        content = self.resources.runs.read_json(parent_run_id, tag.RECORD_FILE)
        if content is None:
            raise StoreError(f"the record of its parent run {parent_run_id} is gone")
        return load_config(Prepared.from_json(content), self.resources)

    def _verify_artifacts(self, run: TrackedRun) -> Iterator[IntegrityResult]:
        for model_id in run.model_ids:
            yield IntegrityResult(ARTIFACTS, f"model {model_id}", _problem(self.verifier.verify_model(model_id)))
        for kind, blob in objects_of(run, self.resources):
            subject = f"{kind} {blob.digest[:12]}"
            yield IntegrityResult(ARTIFACTS, subject, _problem(self.verifier.verify_blob(blob)))

    def _why_stuck(self, run: TrackedRun) -> str | None:
        if run.status != "RUNNING":
            return None
        run_id = run.tags.get(tag.DAG_RUN_ID, "")
        if run.dag_id:
            found = self.verifier.verify_dag_run(Origin(runner="airflow", run_id=run_id, dag_id=run.dag_id))
            if found.resolves:
                state = found.details[0]
                return None if state in UNFINISHED else f"RUNNING, and its DAG run ended as {state}"
            if found.resolves is False:
                return f"RUNNING, and {found.reason}"
        if run.tags.get(tag.RUNNER) == "cli" and run.tags.get(tag.HOST) == platform.node():
            process = run_id.rpartition("_")[2]
            if process.isdecimal() and not _is_alive(int(process)):
                return f"RUNNING, and its process {process} is gone"
        age = datetime.now(UTC) - run.started_at
        return f"RUNNING for {age.days} days" if age > STUCK_AFTER else None

    def _why_without_files(self, history: VersionHistory) -> str | None:
        try:
            model_id = history.model.model_id
        except (StoreError, TrackingError) as error:
            return str(error)
        return None if self.resources.models.has_files(model_id) else f"the files of model {model_id} are gone"


def _problem_of(ask: Callable[[], object]) -> str | None:
    try:
        ask()
    except (StoreError, TrackingError) as error:
        return str(error)
    return None


def _first_difference(computed: Mapping[str, Any], logged: Mapping[str, Any]) -> str | None:
    for name, value in computed.items():
        if name not in logged:
            return f"{name} is {value!r} in its record, and MLflow has none"
        if logged[name] != value:
            return f"{name} is {value!r} in its record, and {logged[name]!r} in MLflow"
    return None


def _problem(found: Verification) -> str | None:
    return found.reason if found.resolves is False else None


def _name(run: TrackedRun) -> str:
    return f"run {run.name} ({run.run_id[:8]})"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
