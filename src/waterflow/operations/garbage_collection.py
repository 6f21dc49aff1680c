"""Garbage collection: the objects of the store that nothing reaches any more.

An object is reached when its sha256 stands anywhere in what is kept: a registered version, an MLflow run that is not
deleted (its tags, and every JSON file that Waterflow logged with it), a row of the ledger. So a record of a kind
that this module has never heard of keeps its objects too, and a mistake can only keep too much.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from waterflow.errors import StoreError, TrackingError, UnreachableError
from waterflow.resources import Resources
from waterflow.stores.base import Entry
from waterflow.tracking.errors import shown
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.tags import EVALUATED_FILE, PARENT_RUN_ID

logger = logging.getLogger(__name__)

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
BLOB = re.compile(r"blobs/[0-9a-f]{2}/([0-9a-f]{64})")
LEFTOVER = re.compile(r"blobs/[0-9a-f]{2}/\.partial-[^/]+")


@dataclass(frozen=True)
class Unreached:
    """An object that can go, and why."""

    entry: Entry
    why: str


@dataclass(frozen=True)
class Survey:
    """What was found: the objects that can go, those that stay, and what forbids to remove anything.

    `reached` are named by what is kept, `young` by nothing yet, `foreign` are none of Waterflow's blobs.
    """

    unreached: tuple[Unreached, ...]
    reached: tuple[Entry, ...]
    young: tuple[Entry, ...]
    foreign: tuple[Entry, ...]
    doubts: tuple[str, ...]


@dataclass
class Marks:
    """The digests that are named by what is kept, and what could not be read."""

    digests: set[str] = field(default_factory=set)
    doubts: list[str] = field(default_factory=list)

    def add(self, texts: Iterable[str]) -> None:
        """Note every sha256 in some texts."""
        for text in texts:
            self.digests.update(DIGEST.findall(text))


def survey(resources: Resources, older_than: timedelta, now: datetime) -> Survey:
    """Find the objects that were stored `older_than` before `now` and that nothing reaches; nothing is changed.

    The listing comes first: what is stored after it is not in it, and so is safe.
    """
    entries = sorted(resources.store.list_keys("blobs/"), key=lambda entry: entry.key)
    marks = mark(resources)
    limit, deleted = now - older_than, names_of_deleted(resources)
    unreached, reached, young, foreign = [], [], [], []
    for entry in entries:
        blob = BLOB.fullmatch(entry.key)
        if blob is None and LEFTOVER.fullmatch(entry.key) is None:
            foreign.append(entry)
        elif blob is not None and blob[1] in marks.digests:
            reached.append(entry)
        elif entry.modified > limit:
            young.append(entry)
        else:
            why = f"named only by {deleted[blob[1]]}" if blob and blob[1] in deleted else "named by nothing"
            unreached.append(Unreached(entry, why if blob else "left by an upload that was cut short"))
    if not reached and any(BLOB.fullmatch(found.entry.key) for found in unreached):
        marks.doubts.append(
            f"MLflow at {shown(resources.runs.uri)} names none of the objects in {resources.store.uri}; "
            "is it the one that this store belongs to?"
        )
    return Survey(tuple(unreached), tuple(reached), tuple(young), tuple(foreign), tuple(marks.doubts))


def remove(found: Survey, resources: Resources) -> None:
    """Remove what a survey found; raises StoreError, before anything is removed, where that could lose something."""
    doubts = found.doubts or _begun_since(resources)
    if doubts:
        more = f" (and {len(doubts) - 1} more)" if len(doubts) > 1 else ""
        raise StoreError(f"gc: nothing was removed: {doubts[0]}{more}")
    for unreached in found.unreached:
        resources.store.delete(unreached.entry.key)
        logger.info("removed %s: %s", unreached.entry.key, unreached.why)


def mark(resources: Resources) -> Marks:
    """Read all that is kept, and note which digests it names."""
    marks = Marks()
    for model in resources.ledger.models():
        marks.add(row.model_dump_json() for row in resources.ledger.entries(model))
        marks.add(look.model_dump_json() for look in resources.ledger.looks(model))
    waiting = {run.run_id: run for run in resources.runs.list_runs()}
    for version in resources.registry.list_all_versions():
        marks.add(version.tags.values())
        for run_id in filter(None, (version.run_id, version.tags.get(PARENT_RUN_ID))):
            run = waiting.get(run_id) or resources.runs.find_run(run_id, deleted_too=True)
            if run is None:
                marks.doubts.append(
                    f"run {run_id} of {version.model} version {version.version} is gone from MLflow, and with it what "
                    "that version needs; restore MLflow from a backup, or delete the version"
                )
            else:
                waiting[run_id] = run
    for run in _with_parents(waiting, resources):
        _mark_run(run, marks, resources)
    return marks


def names_of_deleted(resources: Resources) -> dict[str, str]:
    """Say of the digests that deleted runs name which run that was, as far as their records can be read."""
    names: dict[str, str] = {}
    for run in resources.runs.list_runs(deleted=True):
        marks = Marks()
        marks.add(run.tags.values())
        with suppress(TrackingError, UnreachableError, StoreError):
            marks.add(resources.runs.read_records(run).values())
        names |= dict.fromkeys(marks.digests, f"the deleted run {run.name} ({run.run_id[:8]})")
    return names


def _with_parents(found: Mapping[str, TrackedRun], resources: Resources) -> Iterator[TrackedRun]:
    """Give runs, and the parents that were deleted without them: those hold the records of the data."""
    yield from found.values()
    parents = {run.parent for run in found.values() if run.is_ours and run.parent} - set(found)
    for run_id in sorted(parents):
        parent = resources.runs.find_run(run_id, deleted_too=True)
        if parent is not None:
            yield parent


def _mark_run(run: TrackedRun, marks: Marks, resources: Resources) -> None:
    marks.add(run.tags.values())
    try:
        records = resources.runs.read_records(run)
    except StoreError as error:
        marks.doubts.append(
            f"run {run.name} ({run.run_id}) cannot be read: {error}; restore its artifacts, or delete the run in MLflow"
        )
        return
    marks.add(records.values())
    if run.is_ours and run.status == "RUNNING" and run.parent is None and EVALUATED_FILE not in records:
        marks.doubts.append(
            f"run {run.name} ({run.run_id}) is under way and may need what it has not named yet; wait until it ends, "
            "or delete it in MLflow if nothing runs it any more"
        )


def _begun_since(resources: Resources) -> tuple[str, ...]:
    """Name the runs that began while the survey was made: those it knew are under way, and forbid more, or are safe."""
    running = [run for run in resources.runs.list_runs(status="RUNNING") if run.is_ours and run.parent is None]
    fresh = [run for run in running if EVALUATED_FILE not in resources.runs.read_records(run)]
    return tuple(f"run {run.name} ({run.run_id}) began meanwhile; run gc again when it has ended" for run in fresh)
