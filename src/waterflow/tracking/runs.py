"""Experiments and runs. A run is opened once for each identity, reopened by a retry, and always closed."""

import json
import logging
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, Metric, Param, RunStatus, RunTag
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR, MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT
from mlflow.exceptions import MlflowException, RestException

from waterflow.config.profile import Profile
from waterflow.errors import StoreError, TrackingError
from waterflow.provenance.hashing import digest_of
from waterflow.tracking import tags as tag
from waterflow.tracking.artifacts import ArtifactReader
from waterflow.tracking.errors import ForbiddenError, translated
from waterflow.tracking.run_queries import TrackedRun

logger = logging.getLogger(__name__)

MAX_PARAM_LENGTH, MAX_TAG_LENGTH = 6000, 8000  # in characters, as MLflow has them
# MLflow's UI would otherwise guess that an experiment is about language models.
EXPERIMENT_TAGS = {tag.MLFLOW_EXPERIMENT_KIND: "custom_model_development"}


@dataclass(frozen=True)
class OpenRun:
    """A run, with the record of its finished earlier attempt."""

    run_id: str
    experiment_id: str
    record: dict[str, Any] | None = None


@dataclass(frozen=True)
class RunIdentity:
    """What all attempts at a run share. `candidate` is None for the parent."""

    pipeline: str
    run_id: str
    candidate: str | None = None
    clear_number: int = 0

    @property
    def digest(self) -> str:
        """The value to search by."""
        return digest_of([self.pipeline, self.run_id, self.candidate, self.clear_number])


class RunStore(ArtifactReader):
    """MLflow's runs, through its client API with explicit ids. No fluent state is touched."""

    def __init__(self, profile: Profile) -> None:
        """Connect; raises UnreachableError when an HTTP server does not answer."""
        super().__init__(profile)
        # Otherwise the client fetches each run that it closes, to print its address.
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
        self._artifact_root = profile.artifact_root

    def ensure_experiment(self, pipeline: str) -> str:
        """Return the id of `waterflow/<pipeline>`, created or restored as needed.

        It is called before tasks run in parallel. Raises TrackingError with the remedy where the name is another
        account's, or where it was deleted and cannot be restored.
        """
        name = tag.EXPERIMENT_PREFIX + pipeline
        try:
            with translated(self.uri):
                return self._ensure_experiment(name, pipeline)
        except ForbiddenError as error:
            raise TrackingError(
                f"experiment {name} belongs to another account of MLflow, or this account may not create it; an admin "
                f"grants it MANAGE on that experiment, or renames the other ({error})"
            ) from error

    def _ensure_experiment(self, name: str, pipeline: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            location = f"{self._artifact_root}/{pipeline}" if self._artifact_root else None
            try:
                return str(self.client.create_experiment(name, artifact_location=location, tags=EXPERIMENT_TAGS))
            except (MlflowException, RestException):
                found = self.client.get_experiment_by_name(name)  # another run made it meanwhile
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            self._restore_experiment(found.experiment_id, name)
        return str(found.experiment_id)

    def _restore_experiment(self, experiment_id: str, name: str) -> None:
        """Restore a deleted experiment: its name cannot be used again."""
        try:
            with translated(self.uri):
                self.client.restore_experiment(experiment_id)
        except TrackingError as error:
            raise TrackingError(
                f"experiment {name} was deleted in MLflow, which keeps its name, and restoring it failed ({error}); an "
                f"admin of MLflow restores it: mlflow experiments restore --experiment-id {experiment_id}"
            ) from error
        logger.warning("experiment %s was deleted in MLflow; restored it, with its runs", name)

    def open_run(
        self,
        experiment_id: str,
        identity: RunIdentity,
        action_key: str,
        name: str,
        tags: Mapping[str, str],
        parent_run_id: str | None = None,
    ) -> OpenRun:
        """Return the run of this identity, created if needed.

        A run of the same action key is opened again, with the record of its step if that was done; unless it is
        FINISHED its status becomes RUNNING. A run of another action key, from before the configuration or the
        code changed, is marked as superseded, and a new one is created.
        """
        all_tags = {
            **tags,
            tag.RUN_IDENTITY: identity.digest,
            tag.ACTION_KEY: action_key,
            tag.MLFLOW_RUN_NAME: name,
            tag.MLFLOW_SOURCE_TYPE: "JOB",
        }
        if parent_run_id is not None:
            all_tags[tag.MLFLOW_PARENT_RUN_ID] = parent_run_id
        with translated(self.uri):
            for run in self.find_runs(experiment_id, {tag.RUN_IDENTITY: identity.digest}, limit=None):
                if run.tags.get(tag.ACTION_KEY) != action_key:
                    self._supersede(run)
                    continue
                record = self._read_record(run)
                if record is None or run.status != "FINISHED":
                    self._reopen(run, all_tags, delete_models=record is None)
                return OpenRun(run.run_id, experiment_id, record)
            self._close_cleared(experiment_id, identity)
            created = self.client.create_run(experiment_id, tags=all_tags, run_name=name)
            return OpenRun(created.info.run_id, experiment_id)

    @contextmanager
    def closing(self, run_id: str, *, success: str | None = "FINISHED") -> Iterator[None]:
        """Close the run when the block ends. It is `success`, FAILED after an error, KILLED after an interruption.

        `success=None` leaves the run open for the steps that follow. The reason of a failure becomes a tag. A run
        that an earlier attempt closed keeps its end time.
        """
        try:
            yield
        except Exception as error:
            self._close_quietly(run_id, "FAILED", str(error))
            raise
        except BaseException:
            self._close_quietly(run_id, "KILLED", "interrupted")
            raise
        if success is not None and self.get_run(run_id).status != success:
            with translated(self.uri):
                self.client.set_terminated(run_id, status=success)

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        model_id: str | None = None,
    ) -> None:
        """Log in one batch. Values are cut to the length that MLflow accepts."""
        now = time.time_ns() // 1_000_000
        with translated(self.uri):
            self.client.log_batch(
                run_id,
                params=[Param(key, param_text(value)) for key, value in (params or {}).items()],
                metrics=[
                    Metric(key, float(value), now, 0, model_id=model_id) for key, value in (metrics or {}).items()
                ],
                tags=[RunTag(key, _cut(value, MAX_TAG_LENGTH)) for key, value in (tags or {}).items()],
            )

    def log_dataset(
        self, run_id: str, *, name: str, digest: str, source: str, rows: int, context: str, model_id: str | None = None
    ) -> None:
        """Attach a data set, and a reused model, as inputs.

        MLflow accepts 36 characters of a digest.
        """
        dataset = Dataset(
            name=name,
            digest=digest[:36],
            source_type="local" if source.startswith("file:") else "s3",
            source=json.dumps({"uri": source}),
            profile=json.dumps({"num_rows": rows}),
        )
        with translated(self.uri):
            self.client.log_inputs(
                run_id,
                [DatasetInput(dataset, [InputTag(tag.MLFLOW_DATASET_CONTEXT, context)])],
                [LoggedModelInput(model_id)] if model_id else None,
            )

    def log_folder(self, run_id: str, folder: Path) -> None:
        """Upload every file below `folder` as the run's artifacts."""
        with translated(self.uri), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.client.log_artifacts(run_id, str(folder))

    def close_unfinished_children(self, experiment_id: str, parent_run_id: str) -> list[str]:
        """Close each nested run that is still RUNNING as KILLED. All their tasks must be over."""
        nested = self.find_runs(experiment_id, {tag.MLFLOW_PARENT_RUN_ID: parent_run_id}, limit=None)
        dead = [run.run_id for run in nested if run.status == "RUNNING"]
        for run_id in dead:
            self._close_quietly(run_id, "KILLED", "its task ended without closing the run")
        return dead

    def close(self, run_id: str, status: str, reason: str) -> None:
        """Close a run from outside. The reason becomes a tag."""
        with translated(self.uri):
            self.client.set_tag(run_id, tag.FAILURE, _cut(reason, MAX_TAG_LENGTH))
            self.client.set_terminated(run_id, status=status)

    def log_finished_run(
        self,
        experiment_id: str,
        *,
        name: str,
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        folder: Path,
        started_at: datetime,
    ) -> str:
        """Log a finished run that stands alone. Returns its id.

        It has no identity, action key, parent or runner, by which other queries select their runs.
        """
        tags, start_ms = {**tags, tag.MLFLOW_SOURCE_TYPE: "JOB"}, int(started_at.timestamp() * 1000)
        with translated(self.uri):
            run = self.client.create_run(experiment_id, start_time=start_ms, tags=tags, run_name=name)
        run_id = str(run.info.run_id)
        with self.closing(run_id):
            self.log(run_id, metrics=metrics)
            self.log_folder(run_id, folder)
        return run_id

    def _reopen(self, run: TrackedRun, tags: Mapping[str, str], *, delete_models: bool) -> None:
        logger.info("reopening MLflow run %s, which an earlier attempt left %s", run.run_id, run.status)
        for model_id in run.model_ids if delete_models else ():  # this attempt logs its own
            self.client.delete_logged_model(model_id)
        self.log(run.run_id, tags=tags)
        self.client.update_run(run.run_id, status=RunStatus.to_string(RunStatus.RUNNING))

    def _close_cleared(self, experiment_id: str, identity: RunIdentity) -> None:
        for number in range(identity.clear_number):
            earlier = replace(identity, clear_number=number).digest
            for run in self.find_runs(experiment_id, {tag.RUN_IDENTITY: earlier}, limit=None):
                if run.status == "RUNNING":
                    self._close_quietly(run.run_id, "KILLED", "its DAG run was cleared and runs again")

    def _supersede(self, run: TrackedRun) -> None:
        self.client.set_tag(run.run_id, tag.SUPERSEDED, "true")
        if run.status == "RUNNING":
            self.client.set_terminated(run.run_id, status="KILLED")

    def _read_record(self, run: TrackedRun) -> dict[str, Any] | None:
        if tag.RECORD_DIGEST not in run.tags:
            return None
        try:
            return self.read_verified(run, tag.RECORD_FILE)
        except StoreError as error:
            logger.warning("run %s: %s; its step runs again", run.run_id, error)
            return None

    def _close_quietly(self, run_id: str, status: str, reason: str) -> None:
        """Close after a failure. An error in closing must not hide it."""
        try:
            self.close(run_id, status, reason)
        except Exception as error:
            logger.warning("MLflow run %s could not be closed as %s: %s", run_id, status, error)


def param_text(value: Any) -> str:
    """Return a parameter as the text MLflow keeps."""
    return _cut(str(value), MAX_PARAM_LENGTH)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
