"""Looking up results of equal actions in earlier runs. Each is verified by digest before it is used."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pandas as pd

from waterflow.caching.keys import division, key_of
from waterflow.config.schema import PipelineConfig
from waterflow.data.preparation import divide_rows
from waterflow.errors import StoreError, TrackingError, UnreachableError
from waterflow.links import run_link
from waterflow.records.base import Record
from waterflow.records.caching import ExecutedAction
from waterflow.records.data import Blob, DividedBlob, HoldoutCut, Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.training import Trained
from waterflow.resources import Resources
from waterflow.snapshots import store_division
from waterflow.stores.base import find_problem
from waterflow.tracking import tags as tag
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.runs import OpenRun

logger = logging.getLogger(__name__)

RecordT = TypeVar("RecordT", bound=Record)


@dataclass(frozen=True)
class CacheHit(Generic[RecordT]):
    """A verified record of an earlier run."""

    record: RecordT
    run: TrackedRun


@dataclass(frozen=True)
class CacheLookup(Generic[RecordT]):
    """The outcome of a look-up. `misses` say why what was found is not used."""

    hit: CacheHit[RecordT] | None = None
    misses: tuple[str, ...] = ()


def is_validated(pipeline: str, setting: str, resources: Resources) -> bool:
    """Return whether a run of these settings began before. Then its estimators could be built."""
    experiment_id = resources.runs.find_experiment(pipeline)
    asked = {tag.SETTING_KEY: setting}
    return experiment_id is not None and bool(resources.runs.find_runs(experiment_id, asked, limit=1))


def divide_cached(
    frame: pd.DataFrame,
    config: PipelineConfig,
    data: Blob,
    cut: HoldoutCut | None,
    opened: OpenRun,
    resources: Resources,
    *,
    force: bool,
) -> tuple[DividedBlob, ExecutedAction]:
    """Split the rows, or take an earlier run's split. That run must have had the same rows."""
    action = division(config, data, cut)
    key = key_of(action)
    found = CacheLookup[DividedBlob]()
    if not force:
        runs = resources.runs.find_runs(opened.experiment_id, {tag.DIVISION_KEY: key})
        found = _first_good(runs, lambda run: _read_division(run, key, resources))
    executed = ExecutedAction(action=action, key=key, forced=force, misses=found.misses)
    if found.hit is None:
        return store_division(divide_rows(frame, config, cut.start if cut else None), resources), executed
    logger.info("the same rows as %s", found.hit.run)
    origin = {"cached_from": found.hit.run.run_id, "cached_at": found.hit.run.started_at}
    return found.hit.record, executed.model_copy(update=origin | {"note": f"the same rows as {found.hit.run}"})


def find_trained(prepared: Prepared, key: str, main_metric: str, resources: Resources) -> CacheLookup[Trained]:
    """Look up a finished fit of the same action. Its record and model files are verified.

    One whose main metric is undefined is no hit: fitting it again says so, as it would without a cache.
    """

    def check(trained: Trained) -> None:
        if main_metric not in trained.metrics:
            raise StoreError(f"{main_metric} is undefined for it")

    return _find_fit(prepared, key, resources, check)


def find_refitted(prepared: Prepared, key: str, resources: Resources) -> CacheLookup[Trained]:
    """Look up a finished fit of equal recipe and rows. Its record and model files are verified."""
    return _find_fit(prepared, key, resources, check=lambda trained: None)


def find_evaluated(prepared: Prepared, key: str, resources: Resources, *, only_own: bool) -> CacheLookup[Evaluated]:
    """Look up an evaluation of the same action. This run's own comes first; its record and predictions are verified."""

    def read(run: TrackedRun) -> Evaluated:
        evaluated = _parsed(Evaluated, resources.runs.read_verified(run, tag.EVALUATED_FILE))
        _check_key(evaluated.action_key, key)
        predictions = evaluated.verdict.predictions if evaluated.verdict else None
        if predictions is not None:
            _check_blob(predictions, resources)
        for fit in evaluated.compared:
            resources.models.verify(fit.model_id, prepared.pipeline)
        return evaluated

    found = resources.runs.find_runs(prepared.experiment_id, {tag.EVALUATED_KEY: key})
    own = [run for run in found if run.run_id == prepared.parent_run_id]
    others = [run for run in found if run not in own and tag.EVALUATED_FROM not in run.tags]
    return _first_good(own if only_own else [*own, *others], read)


def _read_division(run: TrackedRun, key: str, resources: Resources) -> DividedBlob:
    divided = _parsed(DividedBlob, resources.runs.read_verified(run, tag.DIVISION_FILE))
    _check_key(divided.key, key)
    _check_blob(divided.split, resources)
    return divided


def _find_fit(
    prepared: Prepared, key: str, resources: Resources, check: Callable[[Trained], None]
) -> CacheLookup[Trained]:
    def read(run: TrackedRun) -> Trained:
        trained = _parsed(Trained, resources.runs.read_verified(run, tag.RECORD_FILE))
        _check_key(trained.action_key, key)
        check(trained)
        resources.models.verify(trained.model_id, prepared.pipeline)
        return trained

    asked = {tag.ACTION_KEY: key, tag.CACHED_FROM: None}
    runs = resources.runs.find_runs(prepared.experiment_id, asked)
    return _first_good([run for run in runs if run.status == "FINISHED"], read)


def note_of(run: TrackedRun, experiment_id: str, what: str, resources: Resources) -> str:
    """Return the note of a run that used earlier results. It links to the earlier run."""
    link = run_link(experiment_id, run.run_id, resources.profile)
    return f"Cached: {what} by {link} of {run.started_at:%Y-%m-%d %H:%M}."


def _first_good(runs: Iterable[TrackedRun], read: Callable[[TrackedRun], RecordT]) -> CacheLookup[RecordT]:
    misses: list[str] = []
    for run in runs:
        try:
            return CacheLookup(CacheHit(read(run), run), tuple(misses))
        except UnreachableError:
            raise
        except (StoreError, TrackingError) as error:
            logger.warning("%s cannot be used again: %s", run, error)
            misses.append(f"{run}: {error}")
    return CacheLookup(None, tuple(misses))


def _parsed(kind: type[RecordT], content: object) -> RecordT:
    try:
        return kind.model_validate(content)
    except ValueError as error:
        raise StoreError(f"its record is of another version of Waterflow ({type(error).__name__})") from error


def _check_key(recorded: str, key: str) -> None:
    """Raise StoreError unless a record is of this action. Its run's tags alone say so otherwise."""
    if recorded != key:
        raise StoreError("its record is of another action than its tags say")


def _check_blob(blob: Blob, resources: Resources) -> None:
    problem = find_problem(resources.store, blob)
    if problem is not None:
        raise StoreError(f"its object {blob.key}: {problem}")
