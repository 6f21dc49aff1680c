"""Finding what an earlier run has made of the same inputs, and not believing it before its files are verified."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from waterflow.errors import StoreError, TrackingError, UnreachableError
from waterflow.links import run_link
from waterflow.records import Blob, Evaluated, Prepared, Trained
from waterflow.resources import Resources
from waterflow.stores.base import find_problem
from waterflow.tracking import tags as tag
from waterflow.tracking.cache import find_runs, read_verified
from waterflow.tracking.found import FoundRun

logger = logging.getLogger(__name__)


Found = TypeVar("Found", Trained, Evaluated)


@dataclass(frozen=True)
class Hit(Generic[Found]):
    """What an earlier run has made, verified."""

    record: Found
    run: FoundRun


@dataclass(frozen=True)
class Lookup(Generic[Found]):
    """What a search in the cache came to; `misses` say why what was found is not used."""

    hit: Hit[Found] | None
    misses: tuple[str, ...] = ()


def find_trained(prepared: Prepared, key: str, main_metric: str, resources: Resources) -> Lookup[Trained]:
    """Find a finished fit of the same action, whose record and model are what was logged.

    One that leaves the main metric undefined is none: fitting it again says so, as it would without a cache.
    """

    def read(run: FoundRun) -> Trained:
        record = read_verified(resources.runs, run, tag.RECORD_FILE, run.tags.get(tag.RECORD_DIGEST))
        trained = _parsed(Trained, record)
        if main_metric not in trained.metrics:
            raise StoreError(f"{main_metric} is undefined for it")
        resources.models.verify(trained.model_id)
        return trained

    asked = {tag.ACTION_KEY: key, tag.CACHED_FROM: ""}
    runs = find_runs(resources.runs, prepared.experiment_id, asked)
    return _first_good([run for run in runs if run.status == "FINISHED"], read)


def find_evaluated(prepared: Prepared, key: str, resources: Resources, *, only_own: bool) -> Lookup[Evaluated]:
    """Find a judgement of the same action, whose record and predictions are what was stored; this run's own first."""

    def read(run: FoundRun) -> Evaluated:
        record = read_verified(resources.runs, run, tag.EVALUATED_FILE, run.tags.get(tag.EVALUATED_DIGEST))
        evaluated = _parsed(Evaluated, record)
        predictions = evaluated.verdict.predictions if evaluated.verdict else None
        if predictions is not None:
            _check_blob(predictions, resources)
        return evaluated

    found = find_runs(resources.runs, prepared.experiment_id, {tag.EVALUATED_KEY: key})
    own = [run for run in found if run.run_id == prepared.parent_run_id]
    others = [run for run in found if run not in own and tag.EVALUATED_FROM not in run.tags]
    return _first_good(own if only_own else [*own, *others], read)


def note_of(run: FoundRun, experiment_id: str, what: str, resources: Resources) -> str:
    """Say in a run's note that nothing was done, with the way to the run that did it."""
    link = run_link(experiment_id, run.run_id, resources.profile)
    return f"Cached: {what} by {link} of {run.started_at:%Y-%m-%d %H:%M}."


def _first_good(runs: Iterable[FoundRun], read: Callable[[FoundRun], Found]) -> Lookup[Found]:
    misses: list[str] = []
    for run in runs:
        try:
            return Lookup(Hit(read(run), run), tuple(misses))
        except UnreachableError:
            raise
        except (StoreError, TrackingError) as error:
            logger.warning("%s cannot be used again: %s", run, error)
            misses.append(f"{run}: {error}")
    return Lookup(None, tuple(misses))


def _parsed(kind: type[Found], record: object) -> Found:
    try:
        return kind.model_validate(record)
    except ValueError as error:
        raise StoreError(f"its record is of another version of Waterflow ({type(error).__name__})") from error


def _check_blob(blob: Blob, resources: Resources) -> None:
    problem = find_problem(resources.store, blob)
    if problem is not None:
        raise StoreError(f"its object {blob.key}: {problem}")
