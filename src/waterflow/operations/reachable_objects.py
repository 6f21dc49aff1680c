"""The objects of the store that anything recorded refers to.

An object is reachable when its sha256 stands anywhere in what is kept: a registered version, an MLflow run that is not
deleted (its tags, and every JSON file that Waterflow logged with it), a row of the ledger, a row of the prediction log
that is still kept. Kinds of records that are added later count too, and a mistake can only keep too much.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from waterflow.errors import LedgerError, StoreError, TrackingError, UnreachableError
from waterflow.resources import Resources
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.tags import EVALUATED_FILE, PARENT_RUN_ID

DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


@dataclass
class Reachable:
    """The sha256 of reachable objects.

    `obstacles` say what could not be read, so that the set may be incomplete. `run_states` are the states of all runs
    at the time, by id.
    """

    digests: set[str] = field(default_factory=set)
    obstacles: list[str] = field(default_factory=list)
    run_states: dict[str, tuple[object, ...]] = field(default_factory=dict)

    def add_texts(self, texts: Iterable[str]) -> None:
        """Add every sha256 in some texts."""
        for text in texts:
            self.digests.update(DIGEST.findall(text))

    def add_run(self, run: TrackedRun, resources: Resources) -> None:
        """Add what a run's tags and records name."""
        self.add_texts(run.tags.values())
        try:
            records = resources.runs.read_records(run)
        except (StoreError, TrackingError) as error:
            self.obstacles.append(
                f"run {run.name} ({run.run_id}) cannot be read: {error}; restore its artifacts, or delete the run in "
                "MLflow"
            )
            return
        self.add_texts(records.values())
        if run.is_ours and run.status == "RUNNING" and run.parent is None and EVALUATED_FILE not in records:
            self.obstacles.append(
                f"run {run.name} ({run.run_id}) is under way and may need what it has not named yet; wait until it "
                "ends, or delete it in MLflow if nothing runs it any more"
            )


def find_reachable(resources: Resources) -> Reachable:
    """Return the digests that anything kept names."""
    found = Reachable()
    for model in resources.ledger.models():
        try:
            found.add_texts(resources.ledger.raw_texts(model))
        except LedgerError as error:
            found.obstacles.append(f"{error}, and with it what its rows name; see `waterflow ledger {model} --verify`")
    today = datetime.now(UTC).date()
    found.digests.update(segment.digest for segment in resources.prediction_index.kept_segments(today))
    runs = {run.run_id: run for run in resources.runs.list_runs()}
    found.run_states = {run_id: _state(run) for run_id, run in runs.items()}
    for version in resources.registry.list_all_versions():
        found.add_texts(version.tags.values())
        for run_id in filter(None, (version.run_id, version.tags.get(PARENT_RUN_ID))):
            run = runs.get(run_id) or resources.runs.find_run(run_id, deleted_too=True)
            if run is not None:
                runs[run_id] = run
                continue
            found.obstacles.append(
                f"run {run_id} of {version.model} version {version.version} is gone from MLflow, and with it what "
                "that version needs; restore MLflow from a backup, or delete the version"
            )
    for run in _with_parents(runs, resources):
        found.add_run(run, resources)
    return found


def find_reachable_since(before: Reachable, resources: Resources) -> Reachable:
    """Return what runs name that changed since `before`. They began, ended or were reopened."""
    found = Reachable()
    for run in resources.runs.list_runs():
        if before.run_states.get(run.run_id) != _state(run):
            found.add_run(run, resources)
    return found


def name_deleted_runs(resources: Resources) -> dict[str, str]:
    """Return a deleted run, in words, for each digest. The digests are those that deleted runs name."""
    names: dict[str, str] = {}
    for run in resources.runs.list_runs(deleted=True):
        found = Reachable()
        found.add_texts(run.tags.values())
        with suppress(TrackingError, UnreachableError, StoreError):
            found.add_texts(resources.runs.read_records(run).values())
        names |= dict.fromkeys(found.digests, f"the deleted run {run.name} ({run.run_id[:8]})")
    return names


def _state(run: TrackedRun) -> tuple[object, ...]:
    return run.status, run.ended_at


def _with_parents(runs: Mapping[str, TrackedRun], resources: Resources) -> Iterator[TrackedRun]:
    """Yield runs and their deleted parents. The parents, deleted without them, have the records of the data."""
    yield from runs.values()
    parents = {run.parent for run in runs.values() if run.is_ours and run.parent} - set(runs)
    for run_id in sorted(parents):
        parent = resources.runs.find_run(run_id, deleted_too=True)
        if parent is not None:
            yield parent
