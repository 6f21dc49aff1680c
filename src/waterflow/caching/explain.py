"""Why a step of a run was done or not, told by comparing its action with that of an earlier run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from waterflow.errors import TrackingError
from waterflow.records import Action, Done, Record
from waterflow.resources import Resources
from waterflow.tracking.cache import find_experiment, find_runs
from waterflow.tracking.found import FoundRun
from waterflow.tracking.tags import ACTION_FILE, CANDIDATE, DAG_RUN_ID, FAILURE, MLFLOW_PARENT_RUN_ID, PIPELINE

# Runs to look back through for an action to compare with: those between failed before they came to it.
LOOK_BACK = 20
KINDS = {"inputs": "input", "config": "config", "code": "code", "environment": "environment"}


class Change(Record):
    """One input that differs from the earlier action; None stands for one that was or is not there."""

    kind: str
    name: str
    before: str | None
    now: str | None


class Story(Record):
    """What became of one step, `ran`, `cached` or `failed`, why, and the run with which it was compared.

    `step` is `prepare`, `train`, `evaluate` or `register`, `candidate` that of `train`. `cached_from` and
    `compared_with` are ids of MLflow runs.
    """

    step: str
    candidate: str = ""
    outcome: str
    run_id: str
    cached_from: str | None = None
    cached_at: datetime | None = None
    compared_with: str | None = None
    changes: tuple[Change, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Told:
    """A run of a pipeline, and the story of each of its steps."""

    run: FoundRun
    stories: tuple[Story, ...]


def explain(pipeline: str, wanted: str | None, resources: Resources) -> Told:
    """Tell of a run: the latest, or the one with this MLflow run id (its beginning is enough) or DAG run id.

    Raises TrackingError where there is none.
    """
    experiment_id = find_experiment(resources.runs, pipeline)
    asked = {PIPELINE: pipeline, MLFLOW_PARENT_RUN_ID: ""}
    parents = find_runs(resources.runs, experiment_id, asked, most=500) if experiment_id else []
    if experiment_id is None or not parents:
        raise TrackingError(f"pipeline {pipeline!r} has no run yet; `waterflow run {pipeline}` makes one")
    run = next((entry for entry in parents if wanted is None or _is_meant(entry, wanted)), None)
    if run is None:
        known = ", ".join(f"{entry.run_id[:8]} ({entry.name})" for entry in parents[:5])
        raise TrackingError(f"--run: {wanted!r} is no run of {pipeline}; the latest are {known}")
    before = [entry for entry in parents if entry.started_at < run.started_at]
    stories = [_tell("prepare", run, before, resources)]
    nested = find_runs(resources.runs, experiment_id, {MLFLOW_PARENT_RUN_ID: run.run_id}, most=500)
    for child in sorted(nested, key=lambda entry: entry.started_at):
        same = {PIPELINE: pipeline, CANDIDATE: child.name}
        fits = find_runs(resources.runs, experiment_id, same, most=500)
        stories.append(_tell("train", child, [fit for fit in fits if fit.started_at < run.started_at], resources))
    stories += [_tell(step, run, before, resources) for step in ("evaluate", "register")]
    return Told(run, tuple(story for story in stories if story is not None))


def compare(before: Action, now: Action) -> Iterator[Change]:
    """Give each input that differs, section by section; settings of a candidate under their place in the YAML."""
    for section, kind in KINDS.items():
        old, new = getattr(before, section), getattr(now, section)
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                own = name.startswith("candidate.")
                shown = f"candidates.{now.subject}.{name.removeprefix('candidate.')}" if own else name
                yield Change(kind=kind, name=shown, before=old.get(name), now=new.get(name))


def _tell(step: str, run: FoundRun, before: Iterable[FoundRun], resources: Resources) -> Story | None:
    """Tell of one step; None where the run ended before it."""
    candidate = run.name if step == "train" else ""
    done = _read(step, run, resources)
    if done is None:
        if step not in ("prepare", "train") or run.status == "FINISHED":
            return None
        reasons = (run.tags.get(FAILURE, f"its run is {run.status}"),)
        outcome = "running" if run.status == "RUNNING" else "failed"
        return Story(step=step, candidate=candidate, outcome=outcome, run_id=run.run_id, reasons=reasons)
    earlier = _last(step, before, resources)
    changes = tuple(compare(earlier[1].action, done.action)) if earlier else ()
    return Story(
        step=step,
        candidate=candidate,
        outcome="ran" if done.cached_from is None else "cached",
        run_id=run.run_id,
        cached_from=done.cached_from,
        cached_at=done.cached_at,
        compared_with=earlier[0].run_id if earlier else None,
        # What an older run has done is done, whatever the runs between have changed and changed back.
        changes=changes if done.cached_from is None else (),
        reasons=tuple(_reasons(done, is_first=earlier is None, is_same=not changes)),
    )


def _reasons(done: Done, *, is_first: bool, is_same: bool) -> Iterator[str]:
    if done.note:
        yield done.note
    yield from (f"not used again: {miss}" for miss in done.misses)
    if done.cached_from is not None:
        return
    if done.forced:
        yield "forced"
    if is_first:
        yield "first run"
    elif is_same and not (done.note or done.forced or done.misses):
        yield "no finished run of the same inputs was found"


def _last(step: str, before: Iterable[FoundRun], resources: Resources) -> tuple[FoundRun, Done] | None:
    for run in islice(before, LOOK_BACK):
        done = _read(step, run, resources)
        if done is not None:
            return run, done
    return None


def _read(step: str, run: FoundRun, resources: Resources) -> Done | None:
    content = resources.runs.read_json(run.run_id, ACTION_FILE.format(step=step))
    try:
        return None if content is None else Done.model_validate(content)
    except ValueError:  # of another version
        return None


def _is_meant(run: FoundRun, wanted: str) -> bool:
    return run.run_id.startswith(wanted) or wanted in (run.name, run.tags.get(DAG_RUN_ID))
