"""Garbage collection: remove unreachable objects from the store."""

import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from waterflow.errors import StoreError
from waterflow.operations.reachable_objects import Reachable, find_reachable, find_reachable_since, name_deleted_runs
from waterflow.resources import Resources
from waterflow.stores.base import Entry
from waterflow.tracking.errors import without_credentials

logger = logging.getLogger(__name__)

BLOB = re.compile(r"blobs/[0-9a-f]{2}/([0-9a-f]{64})")
LEFTOVER = re.compile(r"blobs/[0-9a-f]{2}/\.partial-[^/]+")


@dataclass(frozen=True)
class UnreachableObject:
    """An object that can be removed, and why."""

    entry: Entry
    why: str

    @property
    def digest(self) -> str | None:
        """Return the sha256 of a blob. None for what an interrupted upload left."""
        blob = BLOB.fullmatch(self.entry.key)
        return blob[1] if blob else None


@dataclass(frozen=True)
class Survey:
    """The store's objects, sorted by whether they are needed.

    `reachable` are named by what is kept, `young` not yet, `foreign` are no blobs of Waterflow. `obstacles` say why
    nothing may be removed. `seen` is what was reachable.
    """

    unreachable: tuple[UnreachableObject, ...]
    reachable: tuple[Entry, ...]
    young: tuple[Entry, ...]
    foreign: tuple[Entry, ...]
    obstacles: tuple[str, ...]
    seen: Reachable


def survey(resources: Resources, older_than: timedelta, now: datetime) -> Survey:
    """Return which objects, stored `older_than` before `now`, nothing reaches.

    Nothing is changed. The store is listed first: what is stored later is not in the list, and so is safe.
    """
    entries = sorted(resources.store.list_keys("blobs/"), key=lambda entry: entry.key)
    seen, limit, deleted = find_reachable(resources), now - older_than, name_deleted_runs(resources)
    unreachable, reachable, young, foreign = [], [], [], []
    for entry in entries:
        blob = BLOB.fullmatch(entry.key)
        if blob is None and LEFTOVER.fullmatch(entry.key) is None:
            foreign.append(entry)
        elif blob is not None and blob[1] in seen.digests:
            reachable.append(entry)
        elif entry.modified > limit:
            young.append(entry)
        elif blob is None:
            unreachable.append(UnreachableObject(entry, "left by an upload that was cut short"))
        else:
            why = f"named only by {deleted[blob[1]]}" if blob[1] in deleted else "named by nothing"
            unreachable.append(UnreachableObject(entry, why))
    obstacles = list(seen.obstacles)
    if not reachable and any(found.digest for found in unreachable):
        obstacles.append(
            f"MLflow at {without_credentials(resources.runs.uri)} names none of the objects in {resources.store.uri}; "
            "is it the one that this store belongs to?"
        )
    return Survey(tuple(unreachable), tuple(reachable), tuple(young), tuple(foreign), tuple(obstacles), seen)


def remove(found: Survey, resources: Resources) -> None:
    """Remove the unreachable objects of a survey. Expired outcomes go too.

    Whatever began, ended or was reopened since the survey is read first. Raises StoreError, before anything is removed,
    where something needed could be lost.
    """
    obstacles = found.obstacles or _new_obstacles(found, resources)
    if obstacles:
        more = f" (and {len(obstacles) - 1} more)" if len(obstacles) > 1 else ""
        raise StoreError(f"gc: nothing was removed: {obstacles[0]}{more}")
    for entry in found.unreachable:
        resources.store.delete(entry.entry.key)
        logger.info("removed %s: %s", entry.entry.key, entry.why)
    outcomes = resources.prediction_index.remove_expired_outcomes(datetime.now(UTC).date())
    if outcomes:
        logger.info("removed %d outcomes that need not be kept any more", outcomes)


def _new_obstacles(found: Survey, resources: Resources) -> list[str]:
    since = find_reachable_since(found.seen, resources)
    needed = {entry.digest for entry in found.unreachable} & since.digests
    if needed:
        return [f"a run that began meanwhile needs {len(needed)} of the objects; run gc again"]
    return [f"{obstacle} (it began meanwhile)" for obstacle in since.obstacles]
