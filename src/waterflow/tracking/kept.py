"""What a tracking server still keeps: its runs, its versions, and what they have written down, for a garbage collector.

Nothing here knows the kinds of records: a record that is added later is read like all others.
"""

import json
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException

from waterflow.tracking.errors import translated
from waterflow.tracking.found import PAGE, FoundRun, all_pages, found_run, search_runs, unless_gone
from waterflow.tracking.runs import RunStore
from waterflow.tracking.tags import PARENT_RUN_ID, RECORD_FILE, RECORD_FOLDER, VERDICT_FOLDER

RECORD_FOLDERS = (RECORD_FOLDER, f"{VERDICT_FOLDER}*")


@dataclass(frozen=True)
class KeptVersion:
    """A registered version, and the runs that it came from."""

    name: str
    version: str
    tags: dict[str, str]
    run_ids: tuple[str, ...]


class UnreadableError(Exception):
    """A run whose records cannot be read, and why."""


def list_runs(runs: RunStore, *, deleted: bool = False, running: bool = False) -> list[FoundRun]:
    """List the runs of all experiments that are not deleted, or those that are; `running` keeps the RUNNING ones."""
    client, view = runs.client, ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY
    condition = "attributes.status = 'RUNNING'" if running else ""
    with translated(runs.uri):
        experiments = list(all_pages(partial(client.search_experiments, ViewType.ALL, PAGE, None, None)))
        return [run for place in experiments for run in search_runs(client, place.experiment_id, condition, view)]


def list_registered(runs: RunStore) -> list[KeptVersion]:
    """List the versions of all registered models."""
    with translated(runs.uri):
        versions = list(all_pages(partial(runs.client.search_model_versions, "", PAGE, None)))
    return [
        KeptVersion(
            entry.name,
            str(entry.version),
            dict(entry.tags),
            tuple(name for name in (entry.run_id, entry.tags.get(PARENT_RUN_ID)) if name),
        )
        for entry in versions
    ]


def find_run(runs: RunStore, run_id: str) -> FoundRun | None:
    """Give a run, a deleted one too; None when MLflow has forgotten it."""
    with translated(runs.uri):
        run = unless_gone(lambda: runs.client.get_run(run_id))
    return found_run(run) if run is not None else None


def read_records(runs: RunStore, run: FoundRun) -> dict[str, str]:
    """Read the JSON files that Waterflow logged with a run, by their paths, as text.

    Raises UnreadableError when one is no JSON, cannot be fetched, or is missing though the run says that it is done.
    """
    texts: dict[str, str] = {}
    with translated(runs.uri), tempfile.TemporaryDirectory() as scratch:
        for path in _record_files(runs.client, run):
            try:
                text = Path(runs.client.download_artifacts(run.run_id, path, scratch)).read_text("utf-8")
                json.loads(text)
            except (MlflowException, OSError, ValueError) as error:
                raise UnreadableError(f"{path} cannot be read ({type(error).__name__})") from error
            texts[path] = text
    if run.is_ours and run.status == "FINISHED" and RECORD_FILE not in texts:
        raise UnreadableError(f"it is FINISHED and has no {RECORD_FILE}")
    return texts


def _record_files(client: MlflowClient, run: FoundRun) -> list[str]:
    try:
        folders = [
            entry.path
            for entry in client.list_artifacts(run.run_id)
            if entry.is_dir and any(fnmatch(entry.path, pattern) for pattern in RECORD_FOLDERS)
        ]
        files = [entry.path for folder in folders for entry in client.list_artifacts(run.run_id, folder)]
    except (MlflowException, OSError) as error:
        raise UnreadableError(f"its artifacts cannot be listed ({type(error).__name__})") from error
    return [path for path in files if path.endswith(".json")]
