"""Reading MLflow back: runs and logged models as they are now, and what holds their bytes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, FileInfo

from waterflow.tracking.errors import translated
from waterflow.tracking.found import FoundRun, found_run, search_runs, unless_gone
from waterflow.tracking.runs import RunStore
from waterflow.tracking.tags import EXPERIMENT_PREFIX, MLFLOW_SOURCE_TYPE, MODEL_PAYLOAD_DIGEST


@dataclass(frozen=True)
class FoundModel:
    """A logged model: the run that made it, and the sha256 of its files."""

    model_id: str
    run_id: str
    digest: str | None


class Lookup:
    """Questions to a tracking server whose answer may be that something is gone."""

    def __init__(self, runs: RunStore) -> None:
        """Share the connection of a `RunStore`."""
        self._uri = runs.uri
        self._client: MlflowClient = runs.client

    def pipelines(self) -> dict[str, str]:
        """Give the id of each pipeline's experiment, by the pipeline's name."""
        with translated(self._uri):
            found: Sequence[Experiment] = self._client.search_experiments(
                filter_string=f"name LIKE '{EXPERIMENT_PREFIX}%'"
            )
        return {entry.name.removeprefix(EXPERIMENT_PREFIX): entry.experiment_id for entry in found}

    def list_runs(self, experiment_id: str) -> list[FoundRun]:
        """List the runs of an experiment that were not deleted, newest first."""
        with translated(self._uri):
            return list(search_runs(self._client, experiment_id))

    def find_run(self, run_id: str) -> FoundRun | None:
        """Give a run; None when there is none, or when it was deleted."""
        with translated(self._uri):
            run = unless_gone(lambda: self._client.get_run(run_id))
        return found_run(run) if run is not None and run.info.lifecycle_stage == "active" else None

    def find_model(self, model_id: str) -> FoundModel | None:
        """Give a logged model; None when there is none, or when it was deleted."""
        with translated(self._uri):
            model = unless_gone(lambda: self._client.get_logged_model(model_id))
        return model and FoundModel(model_id, model.source_run_id, model.tags.get(MODEL_PAYLOAD_DIGEST))

    def models_of(self, run_id: str) -> list[str]:
        """List the ids of the models that a run logged and that are still there."""
        with translated(self._uri):
            run = unless_gone(lambda: self._client.get_run(run_id))
        logged = run.outputs.model_outputs if run is not None and run.outputs else ()
        return [output.model_id for output in logged if self.find_model(output.model_id)]

    def files_of_run(self, run_id: str) -> dict[str, int]:
        """Give the bytes of each artifact of a run, by its path."""
        with translated(self._uri):
            return dict(_walk(lambda path: self._client.list_artifacts(run_id, path)))

    def files_of_model(self, model_id: str) -> dict[str, int]:
        """Give the bytes of each file of a logged model, by its path."""
        with translated(self._uri):
            return dict(_walk(lambda path: self._client.list_logged_model_artifacts(model_id, path)))


def log_aside(
    runs: RunStore,
    experiment_id: str,
    *,
    name: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
    folder: Path,
    started_at: datetime,
) -> str:
    """Log a finished run that belongs to no pipeline's run: without identity, action key, parent or runner.

    By these the other listings tell the runs that are theirs. Gives its id.
    """
    with translated(runs.uri):
        run = runs.client.create_run(
            experiment_id,
            start_time=int(started_at.timestamp() * 1000),
            tags={**tags, MLFLOW_SOURCE_TYPE: "JOB"},
            run_name=name,
        )
    run_id = str(run.info.run_id)
    with runs.closing(run_id):
        runs.log(run_id, metrics=metrics)
        runs.log_folder(run_id, folder)
    return run_id


def _walk(ask: Any, path: str | None = None) -> Iterator[tuple[str, int]]:
    entries: Sequence[FileInfo] = ask(path)
    for entry in entries:
        if entry.is_dir:
            yield from _walk(ask, entry.path)
        else:
            yield entry.path, entry.file_size or 0
