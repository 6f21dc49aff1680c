"""What earlier runs have done, found by their tags, and believed only after their files were held against digests.

There is no index beside MLflow: a run carries the key of its action and the sha256 of its record.
"""

import json
import logging
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mlflow.exceptions import MlflowException

from waterflow.errors import StoreError, first_line
from waterflow.provenance.code import sha256_of
from waterflow.tracking.errors import translated
from waterflow.tracking.found import FoundRun, search_runs
from waterflow.tracking.model_store import local_folder
from waterflow.tracking.runs import RunStore
from waterflow.tracking.tags import EXPERIMENT_PREFIX, SUPERSEDED

logger = logging.getLogger(__name__)

MOST = 20  # runs to look at: who has damaged so many has no cache


def find_runs(runs: RunStore, experiment_id: str, tags: Mapping[str, str], *, most: int = MOST) -> list[FoundRun]:
    """Give the runs of an experiment that carry these tags, the newest first; those that were superseded are left out.

    An empty value asks for a run without that tag.
    """
    asked = " and ".join(f"tags.`{name}` = '{value}'" for name, value in tags.items() if value)
    absent = {SUPERSEDED, *(name for name, value in tags.items() if not value)}
    with translated(runs.uri):
        found = search_runs(runs.client, experiment_id, asked, page_size=50)
        return list(islice((run for run in found if not absent & set(run.tags)), most))


def find_experiment(runs: RunStore, pipeline: str) -> str | None:
    """Give the id of a pipeline's experiment; None where no run was ever made, or it was deleted."""
    with translated(runs.uri):
        found = runs.client.get_experiment_by_name(EXPERIMENT_PREFIX + pipeline)
    return str(found.experiment_id) if found is not None and found.lifecycle_stage == "active" else None


def read_verified(runs: RunStore, run: FoundRun, path: str, digest: str | None) -> dict[str, Any]:
    """Read a JSON object among a run's artifacts; raises StoreError, in a clause, unless it has this sha256."""
    with translated(runs.uri), TemporaryDirectory() as scratch:
        try:
            file = _fetch(runs, run, path, scratch)
            if not file.is_file():
                raise StoreError(f"its {path} is gone")
            if sha256_of(file) != digest:
                raise StoreError(f"its {path} was altered or cut short")
            content = json.loads(file.read_text("utf-8"))
        except (MlflowException, OSError, ValueError) as error:
            raise StoreError(f"its {path} cannot be read ({first_line(error)})") from error
    return dict(content)


def _fetch(runs: RunStore, run: FoundRun, path: str, scratch: str) -> Path:
    folder = local_folder(run.artifact_uri)
    if folder is not None:
        return folder / path
    # Asking a server for an artifact that its bucket lacks is an error 500, repeated for minutes.
    parent = path.rpartition("/")[0] or None
    if all(entry.path != path for entry in runs.client.list_artifacts(run.run_id, parent)):
        return Path(scratch) / "gone"
    return Path(runs.client.download_artifacts(run.run_id, path, scratch))
