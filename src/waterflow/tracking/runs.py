"""Experiments and runs: opened once for each identity, reopened by a retry, closed whatever happens."""

import json
import logging
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput, Metric, Param, Run, RunStatus, RunTag
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR, MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT
from mlflow.exceptions import MlflowException, RestException

from waterflow.config.profile import Profile
from waterflow.provenance.code import digest_of, sha256_of
from waterflow.tracking import tags as tag
from waterflow.tracking.errors import check_reachable, translated
from waterflow.tracking.found import unless_gone

logger = logging.getLogger(__name__)

MAX_PARAM_LENGTH = 6000
# MLflow's UI would otherwise guess that an experiment is about language models.
EXPERIMENT_TAGS = {tag.MLFLOW_EXPERIMENT_KIND: "custom_model_development"}


@dataclass(frozen=True)
class OpenRun:
    """A run, and the record of its step if an earlier try came to its end."""

    run_id: str
    experiment_id: str
    record: dict[str, Any] | None = None


@dataclass(frozen=True)
class RunIdentity:
    """What makes a run the same in every try: pipeline, DAG run and candidate name (None for the parent)."""

    pipeline: str
    run_id: str
    candidate: str | None = None
    clear_number: int = 0

    @property
    def digest(self) -> str:
        """One value to search by."""
        return digest_of([self.pipeline, self.run_id, self.candidate, *([self.clear_number] * bool(self.clear_number))])


@dataclass(frozen=True)
class RunningRun:
    """A run that MLflow calls RUNNING, and the Airflow task that opened it; a parent has no map index."""

    run_id: str
    name: str
    dag_id: str
    dag_run_id: str
    map_index: int | None


class RunStore:
    """MLflow's runs, through its client API with explicit ids; no fluent state is touched."""

    def __init__(self, profile: Profile) -> None:
        """Connect; raises UnreachableError when an HTTP server does not answer."""
        check_reachable(profile.tracking_uri)
        # Else the client asks for a run and prints its address whenever it closes one.
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)
        self.uri = profile.tracking_uri
        self._artifact_root = profile.artifact_root
        with translated(self.uri):
            self.client = MlflowClient(profile.tracking_uri)

    def ensure_experiment(self, pipeline: str) -> str:
        """Give the id of `waterflow/<pipeline>`, made or restored as needed; called before tasks run in parallel."""
        name = tag.EXPERIMENT_PREFIX + pipeline
        with translated(self.uri):
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
                logger.warning("experiment %s was deleted and is restored: its name cannot be used again", name)
                self.client.restore_experiment(found.experiment_id)
            return str(found.experiment_id)

    def open_run(
        self,
        experiment_id: str,
        identity: RunIdentity,
        action_key: str,
        name: str,
        tags: Mapping[str, str],
        parent_run_id: str | None = None,
    ) -> OpenRun:
        """Find or make the run of this identity.

        A run of the same action key comes back, with its record if its step was done; unless it is FINISHED
        it is RUNNING again. A run of another action key, left from before the configuration or the code
        changed, is marked as superseded and a new one is made.
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
            for run in self._find(experiment_id, identity):
                if run.data.tags.get(tag.ACTION_KEY) != action_key:
                    self._supersede(run)
                    continue
                record = self._read_record(run)
                if record is None or run.info.status != "FINISHED":
                    self._reopen(run, all_tags, delete_models=record is None)
                return OpenRun(run.info.run_id, experiment_id, record)
            for number in range(identity.clear_number):
                for run in self._find(experiment_id, replace(identity, clear_number=number)):
                    if run.info.status == "RUNNING":
                        self._close_quietly(run.info.run_id, "KILLED", "its DAG run was cleared and runs again")
            run = self.client.create_run(experiment_id, tags=all_tags, run_name=name)
            return OpenRun(run.info.run_id, experiment_id)

    @contextmanager
    def closing(self, run_id: str, *, success: str | None = "FINISHED") -> Iterator[None]:
        """Close the run when the block ends: as `success`, FAILED on an error, KILLED on an interruption.

        `success=None` leaves the run open for the steps that follow. The reason of a failure becomes a tag. A run
        that an earlier try closed keeps the time of its end.
        """
        try:
            yield
        except Exception as error:
            self._close_quietly(run_id, "FAILED", str(error))
            raise
        except BaseException:
            self._close_quietly(run_id, "KILLED", "interrupted")
            raise
        if success is not None and self.status_of(run_id) != success:
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
        """Log in one batch; values of parameters are cut to what MLflow takes."""
        now = time.time_ns() // 1_000_000
        with translated(self.uri):
            self.client.log_batch(
                run_id,
                params=[Param(key, param_text(value)) for key, value in (params or {}).items()],
                metrics=[Metric(key, value, now, 0, model_id=model_id) for key, value in (metrics or {}).items()],
                tags=[RunTag(key, value) for key, value in (tags or {}).items()],
            )

    def log_dataset(
        self, run_id: str, *, name: str, digest: str, source: str, rows: int, context: str, model_id: str | None = None
    ) -> None:
        """Attach a data set input, and a model of another run that is used; MLflow takes 36 letters of a digest."""
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
        """Close as KILLED each nested run that is still RUNNING, once all their tasks are known to be over."""
        condition = f"tags.`{tag.MLFLOW_PARENT_RUN_ID}` = '{parent_run_id}' and attributes.status = 'RUNNING'"
        with translated(self.uri):
            dead = [run.info.run_id for run in self.client.search_runs([experiment_id], condition)]
        for run_id in dead:
            self._close_quietly(run_id, "KILLED", "its task ended without closing the run")
        return dead

    def list_running(self) -> list[RunningRun]:
        """List the RUNNING runs that Airflow's tasks opened, over all pipelines."""
        with translated(self.uri):
            experiments = self.client.search_experiments(filter_string=f"name LIKE '{tag.EXPERIMENT_PREFIX}%'")
            condition = f"attributes.status = 'RUNNING' and tags.`{tag.RUNNER}` = 'airflow'"
            found = (
                self.client.search_runs([entry.experiment_id for entry in experiments], condition)
                if experiments
                else []
            )
        return [
            RunningRun(
                run_id=run.info.run_id,
                name=run.info.run_name,
                dag_id=run.data.tags.get(tag.DAG_ID, ""),
                dag_run_id=run.data.tags.get(tag.DAG_RUN_ID, ""),
                map_index=int(run.data.tags[tag.MAP_INDEX]) if tag.CANDIDATE in run.data.tags else None,
            )
            for run in found
        ]

    def close(self, run_id: str, status: str, reason: str) -> None:
        """Close a run from outside, with the reason as a tag."""
        with translated(self.uri):
            self.client.set_tag(run_id, tag.FAILURE, reason)
            self.client.set_terminated(run_id, status=status)

    def status_of(self, run_id: str) -> str:
        """Give a run's status: RUNNING, FINISHED, FAILED or KILLED."""
        with translated(self.uri):
            return str(self.client.get_run(run_id).info.status)

    def started_at(self, run_id: str) -> datetime:
        """Give the moment at which a run was first opened, in UTC."""
        with translated(self.uri):
            return datetime.fromtimestamp(self.client.get_run(run_id).info.start_time / 1000, UTC)

    def tags_of(self, run_id: str) -> dict[str, str]:
        """Give a run's tags."""
        with translated(self.uri):
            return dict(self.client.get_run(run_id).data.tags)

    def read_json(self, run_id: str, path: str) -> dict[str, Any] | None:
        """Read a JSON object among a run's artifacts; None when it, or the run, is not there or no JSON."""
        folder = path.rpartition("/")[0]
        with translated(self.uri):
            # Asking a server for an artifact that its bucket lacks is an error 500, repeated for minutes.
            entries = unless_gone(lambda: self.client.list_artifacts(run_id, folder or None))
            if all(entry.path != path for entry in entries or ()):
                return None
            with tempfile.TemporaryDirectory() as scratch:
                try:
                    content = json.loads(Path(self.client.download_artifacts(run_id, path, scratch)).read_text("utf-8"))
                except ValueError:
                    return None
        return content if isinstance(content, dict) else None

    def _find(self, experiment_id: str, identity: RunIdentity) -> list[Run]:
        condition = f"tags.`{tag.RUN_IDENTITY}` = '{identity.digest}'"
        found = self.client.search_runs([experiment_id], condition, order_by=["attributes.start_time DESC"])
        return [run for run in found if run.data.tags.get(tag.SUPERSEDED) != "true"]

    def _reopen(self, run: Run, tags: Mapping[str, str], *, delete_models: bool) -> None:
        run_id = run.info.run_id
        logger.info("reopening MLflow run %s, which an earlier try left %s", run_id, run.info.status)
        if delete_models:  # they are of the try that died; this one logs its own
            for output in run.outputs.model_outputs if run.outputs else ():
                self.client.delete_logged_model(output.model_id)
        self.client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
        self.client.update_run(run_id, status=RunStatus.to_string(RunStatus.RUNNING))

    def _supersede(self, run: Run) -> None:
        self.client.set_tag(run.info.run_id, tag.SUPERSEDED, "true")
        if run.info.status == "RUNNING":
            self.client.set_terminated(run.info.run_id, status="KILLED")

    def _read_record(self, run: Run) -> dict[str, Any] | None:
        # Asking a server for an artifact that its bucket lacks is an error 500, which the client repeats for minutes.
        if all(
            entry.path != tag.RECORD_FILE for entry in self.client.list_artifacts(run.info.run_id, tag.RECORD_FOLDER)
        ):
            return None
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self.client.download_artifacts(run.info.run_id, tag.RECORD_FILE, folder)
                if sha256_of(Path(path)) != run.data.tags.get(tag.RECORD_DIGEST, sha256_of(Path(path))):
                    logger.warning(
                        "the record of run %s was altered or cut short: its step is done again", run.info.run_id
                    )
                    return None
                content = json.loads(Path(path).read_text("utf-8"))
            except (MlflowException, OSError, ValueError):
                return None
        return content if isinstance(content, dict) else None

    def _close_quietly(self, run_id: str, status: str, reason: str) -> None:
        """Close after a failure; what goes wrong here must not hide the failure itself."""
        try:
            self.client.set_tag(run_id, tag.FAILURE, reason[:4000])
            self.client.set_terminated(run_id, status=status)
        except Exception as error:
            logger.warning("MLflow run %s could not be closed as %s: %s", run_id, status, error)


def write_record(folder: Path, record: Mapping[str, Any], name: str = tag.RECORD_FILE) -> str:
    """Put a step's record among the artifacts that are to be logged, so that later tries and runs find it.

    Gives the sha256 of the file: the run's tag `waterflow.record_digest`, by which a record is believed.
    """
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False), "utf-8")
    return sha256_of(path)


def param_text(value: Any) -> str:
    """Give a parameter as the text that MLflow keeps of it, cut to the length that it takes."""
    text = str(value)
    return text if len(text) <= MAX_PARAM_LENGTH else text[: MAX_PARAM_LENGTH - 1] + "…"
