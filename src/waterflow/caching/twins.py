"""FoundRun runs that had the same rows: what was split and looked at then need not be done again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from waterflow.errors import StoreError, TrackingError, UnreachableError
from waterflow.records import Blob, Prepared, Share
from waterflow.resources import Resources
from waterflow.stores.base import blob_key, find_problem
from waterflow.tracking import tags as tag
from waterflow.tracking.cache import find_experiment, find_runs, read_verified
from waterflow.tracking.found import FoundRun

logger = logging.getLogger(__name__)

PARENTS = {tag.MLFLOW_PARENT_RUN_ID: ""}


@dataclass(frozen=True)
class Twin:
    """What an earlier run of the same settings made of the same rows; `leak` is the warning that it gave, if any."""

    split: Blob
    shares: tuple[Share, ...]
    leak: str


def was_checked(pipeline: str, setting: str, resources: Resources) -> bool:
    """Say whether a run of these very settings has begun before: then its estimators could be made."""
    experiment_id = find_experiment(resources.runs, pipeline)
    return experiment_id is not None and bool(
        find_runs(resources.runs, experiment_id, {tag.SETTING_KEY: setting}, most=1)
    )


def find_same_rows(digest: str, own_run_id: str, experiment_id: str, resources: Resources) -> list[FoundRun]:
    """Give the other runs of the pipeline that had these rows, the newest first; warns if the rows are in no store."""
    found = find_runs(resources.runs, experiment_id, {tag.DATA_DIGEST: digest, **PARENTS})
    others = [run for run in found if run.run_id != own_run_id]
    if others and not resources.store.exists(blob_key(digest)):
        logger.warning("the rows of %s are gone from the store: %s; written anew", others[0], blob_key(digest))
    return others


def find_twin(same: Sequence[FoundRun], setting: str, resources: Resources) -> tuple[Twin | None, tuple[str, ...]]:
    """Give what the newest run of the same rows and settings made, verified; else why it cannot be used."""
    run = next((entry for entry in same if entry.tags.get(tag.SETTING_KEY) == setting), None)
    if run is None:
        return None, ()
    try:
        record = read_verified(resources.runs, run, tag.RECORD_FILE, run.tags.get(tag.RECORD_DIGEST))
        prepared = Prepared.model_validate(record)
        problem = find_problem(resources.store, prepared.split)
        if problem is not None:
            raise StoreError(f"its object {prepared.split.key}: {problem}")
    except UnreachableError:
        raise
    except (StoreError, TrackingError, ValueError) as error:
        logger.warning("the split of %s cannot be used again: %s", run, error)
        return None, (f"{run}: {error}",)
    return Twin(prepared.split, prepared.shares, run.tags.get(tag.LEAK_WARNING, "")), ()
