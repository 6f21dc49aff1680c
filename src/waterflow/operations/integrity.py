"""Whether a tracking store still says what the steps computed: each check looks at one thing at a time."""

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from waterflow.config.schema import PipelineConfig
from waterflow.errors import StoreError, TrackingError, WaterflowError, first_line
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.operations.disk_usage import objects_of
from waterflow.records import Evaluated, Origin, Prepared, Trained
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
ALIVE = ("queued", "running")


class Checked(NamedTuple):
    """One thing that a check looked at; `problem` is None where all is well."""

    check: str
    subject: str
    problem: str | None


@dataclass(frozen=True)
class Inspection:
    """The checks of one pipeline's runs and versions."""

    runs: Sequence[TrackedRun]
    versions: Sequence[Version]
    resources: Resources
    verifier: Verifier

    def all(self) -> Iterator[Checked]:
        """Check everything."""
        for run in self.runs:
            yield Checked(ENDED, _name(run), self._stuck(run))
            if run.status == "FINISHED" and tag.RUN_KIND not in run.tags:
                yield from self._values(run)
                yield from self._artifacts(run)
        for version in self.versions:
            yield Checked(WITH_RUN, f"{version.model}@{version.version}", self._without_run(version))
            yield Checked(WITH_FILES, f"{version.model}@{version.version}", self._without_files(version))

    def _values(self, run: TrackedRun) -> Iterator[Checked]:
        read = self._of_candidate if tag.CANDIDATE in run.tags else self._of_parent
        try:
            metrics, params = read(run)
        except (WaterflowError, ValueError) as error:  # the latter is pydantic's
            yield Checked(METRICS, _name(run), first_line(error))
            return
        yield Checked(METRICS, _name(run), _first_apart(metrics, run.metrics))
        yield Checked(PARAMETERS, _name(run), _first_apart(params, run.params))

    def _of_candidate(self, run: TrackedRun) -> tuple[Mapping[str, float], Mapping[str, str]]:
        trained = Trained.from_json(self._json(run, tag.RECORD_FILE))
        if trained.cached_from is not None:
            return {}, {}  # what the fit gave stands with the run that it came from
        part = trained.scored_on
        metrics = {f"{part}_{name}": value for name, value in trained.metrics.items()}
        metrics |= {f"{part}_{name}_std": value for name, value in trained.spread.items()}
        chosen = self._config(run.tags.get(tag.MLFLOW_PARENT_RUN_ID, "")).candidates[trained.candidate]
        params: dict[str, Any] = {"estimator": chosen.estimator, **chosen.params, **trained.fit_params}
        return metrics | {"fit_seconds": trained.fit_seconds}, {name: param_text(params[name]) for name in params}

    def _of_parent(self, run: TrackedRun) -> tuple[Mapping[str, float], Mapping[str, str]]:
        prepared = Prepared.from_json(self._json(run, tag.RECORD_FILE))
        params = {"rows": str(prepared.rows), "candidates": ", ".join(prepared.candidates)}
        params |= {f"rows_{share.part}": str(share.rows) for share in prepared.shares}
        if tag.REGISTERED not in run.tags:  # it came to no version, and maybe not to an evaluation
            return {}, params
        evaluated = Evaluated.from_json(self._json(run, tag.EVALUATED_FILE))
        if evaluated.cached_from is not None:
            return {}, params
        return {tag.TEST_METRIC + name: value for name, value in evaluated.holdout_metrics.items()}, params

    def _config(self, parent_run_id: str) -> PipelineConfig:
        content = self.resources.runs.read_json(parent_run_id, tag.RECORD_FILE)
        if content is None:
            raise StoreError(f"the record of its parent run {parent_run_id} is gone")
        return load_config(Prepared.from_json(content), self.resources)

    def _json(self, run: TrackedRun, path: str) -> dict[str, Any]:
        content = self.resources.runs.read_json(run.run_id, path)
        if content is None:
            raise StoreError(f"{path} is gone")
        return content

    def _artifacts(self, run: TrackedRun) -> Iterator[Checked]:
        for model_id in run.model_ids:
            yield Checked(ARTIFACTS, f"model {model_id}", _problem(self.verifier.verify_model(model_id)))
        for kind, blob in objects_of(run, self.resources):
            yield Checked(ARTIFACTS, f"{kind} {blob.digest[:12]}", _problem(self.verifier.verify_blob(blob)))

    def _stuck(self, run: TrackedRun) -> str | None:
        if run.status != "RUNNING":
            return None
        tags = run.tags
        run_id, dag_id = tags.get(tag.DAG_RUN_ID, ""), tags.get(tag.DAG_ID)
        if dag_id is not None:
            proof = self.verifier.verify_dag_run(Origin(runner="airflow", run_id=run_id, dag_id=dag_id))
            if proof.resolves:
                state = proof.details[0]
                return None if state in ALIVE else f"RUNNING, and its DAG run ended as {state}"
            if proof.resolves is False:
                return f"RUNNING, and {proof.reason}"
        if tags.get(tag.RUNNER) == "cli" and tags.get(tag.HOST) == platform.node():
            process = run_id.rpartition("_")[2]
            if process.isdecimal() and not _is_alive(int(process)):
                return f"RUNNING, and its process {process} is gone"
        age = datetime.now(UTC) - run.started_at
        return f"RUNNING for {age.days} days" if age > STUCK_AFTER else None

    def _without_run(self, version: Version) -> str | None:
        chain = VersionHistory(version, self.resources)
        try:
            fit = self.resources.runs.find_run(version.run_id) if version.run_id else None
            return (
                None if fit is not None and chain.registration_run else f"MLflow has no run {version.run_id} any more"
            )
        except (StoreError, TrackingError) as error:
            return str(error)

    def _without_files(self, version: Version) -> str | None:
        try:
            model_id = VersionHistory(version, self.resources).model.model_id
        except (StoreError, TrackingError) as error:
            return str(error)
        return None if self.resources.models.has_files(model_id) else f"the files of model {model_id} are gone"


def _first_apart(computed: Mapping[str, Any], logged: Mapping[str, Any]) -> str | None:
    for name, value in computed.items():
        if name not in logged:
            return f"{name} is {value!r} in its record, and MLflow has none"
        if logged[name] != value:
            return f"{name} is {value!r} in its record, and {logged[name]!r} in MLflow"
    return None


def _problem(proof: Any) -> str | None:
    return proof.reason if proof.resolves is False else None


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
