"""Why a step of a run was done or reused. Its action is compared with that of an earlier run."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from waterflow.errors import TrackingError
from waterflow.records.base import Record
from waterflow.records.caching import Action, ExecutedAction
from waterflow.resources import Resources
from waterflow.tracking import tags as tag
from waterflow.tracking.run_queries import TrackedRun

# Runs to look back through for an action to compare with: those between failed before they came to it.
LOOK_BACK = 20
KINDS = {"inputs": "input", "config": "config", "code": "code", "environment": "environment"}


class InputChange(Record):
    """One input that differs from the earlier action. None stands for one that was or is not there."""

    kind: str
    name: str
    before: str | None
    now: str | None


class StepExplanation(Record):
    """The outcome of one step, with its reasons. It is `ran`, `cached` or `failed`, as compared with another run.

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
    changes: tuple[InputChange, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunExplanation:
    """A run of a pipeline, with each step explained."""

    run: TrackedRun
    steps: tuple[StepExplanation, ...]


def explain(pipeline: str, wanted: str | None, resources: Resources) -> RunExplanation:
    """Explain a run, the latest by default. Else that of an MLflow run id (its beginning is enough) or DAG run id.

    Raises TrackingError where there is none.
    """
    experiment_id = resources.runs.find_experiment(pipeline)
    asked = {tag.PIPELINE: pipeline, tag.MLFLOW_PARENT_RUN_ID: None, tag.RUN_KIND: None}
    parents = resources.runs.find_runs(experiment_id, asked, limit=500) if experiment_id else []
    if experiment_id is None or not parents:
        raise TrackingError(f"pipeline {pipeline!r} has no run yet; `waterflow run {pipeline}` makes one")
    run = next((entry for entry in parents if wanted is None or _is_wanted(entry, wanted)), None)
    if run is None:
        known = ", ".join(f"{entry.run_id[:8]} ({entry.name})" for entry in parents[:5])
        raise TrackingError(f"--run: {wanted!r} is no run of {pipeline}; the latest are {known}")
    before = [entry for entry in parents if entry.started_at < run.started_at]
    steps = [_explain_step("prepare", run, before, resources)]
    nested = resources.runs.find_runs(experiment_id, {tag.MLFLOW_PARENT_RUN_ID: run.run_id}, limit=500)
    for child in sorted(nested, key=lambda entry: entry.started_at):
        same = {tag.PIPELINE: pipeline, tag.CANDIDATE: child.tags.get(tag.CANDIDATE, child.name)}
        fits = resources.runs.find_runs(experiment_id, same, limit=500)
        earlier = [fit for fit in fits if fit.started_at < run.started_at and fit.name == child.name]
        steps.append(_explain_step("train", child, earlier, resources))
    steps += [_explain_step(step, run, before, resources) for step in ("evaluate", "register")]
    return RunExplanation(run, tuple(step for step in steps if step is not None))


def list_changes(before: Action, now: Action) -> Iterator[InputChange]:
    """Yield each input that differs, section by section. Settings of a candidate go under their place in the YAML."""
    for section, kind in KINDS.items():
        old, new = getattr(before, section), getattr(now, section)
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                is_own = name.startswith("candidate.")
                place = f"candidates.{now.subject}.{name.removeprefix('candidate.')}" if is_own else name
                yield InputChange(kind=kind, name=place, before=old.get(name), now=new.get(name))


def _explain_step(
    step: str, run: TrackedRun, before: Iterable[TrackedRun], resources: Resources
) -> StepExplanation | None:
    """Explain one step; None where the run ended before it."""
    candidate = run.name if step == "train" else ""
    executed = _read_action(step, run, resources)
    if executed is None:
        if step not in ("prepare", "train") or run.status == "FINISHED":
            return None
        reasons = (run.tags.get(tag.FAILURE, f"its run is {run.status}"),)
        outcome = "running" if run.status == "RUNNING" else "failed"
        return StepExplanation(step=step, candidate=candidate, outcome=outcome, run_id=run.run_id, reasons=reasons)
    earlier = _latest_action(step, before, resources)
    changes = tuple(list_changes(earlier[1].action, executed.action)) if earlier else ()
    return StepExplanation(
        step=step,
        candidate=candidate,
        outcome="ran" if executed.cached_from is None else "cached",
        run_id=run.run_id,
        cached_from=executed.cached_from,
        cached_at=executed.cached_at,
        compared_with=earlier[0].run_id if earlier else None,
        # A hit on an older run says nothing about what runs in between changed and changed back.
        changes=changes if executed.cached_from is None else (),
        reasons=tuple(_reasons(executed, is_first=earlier is None, is_same=not changes)),
    )


def _reasons(executed: ExecutedAction, *, is_first: bool, is_same: bool) -> Iterator[str]:
    if executed.note:
        yield executed.note
    yield from (f"not used again: {miss}" for miss in executed.misses)
    if executed.cached_from is not None:
        return
    if executed.forced:
        yield "forced"
    if is_first:
        yield "first run"
    elif is_same and not (executed.note or executed.forced or executed.misses):
        yield "no finished run of the same inputs was found"


def _latest_action(
    step: str, before: Iterable[TrackedRun], resources: Resources
) -> tuple[TrackedRun, ExecutedAction] | None:
    for run in islice(before, LOOK_BACK):
        executed = _read_action(step, run, resources)
        if executed is not None:
            return run, executed
    return None


def _read_action(step: str, run: TrackedRun, resources: Resources) -> ExecutedAction | None:
    content = resources.runs.read_json(run.run_id, tag.ACTION_FILE.format(step=step))
    try:
        return None if content is None else ExecutedAction.model_validate(content)
    except ValueError:  # of another version
        return None


def _is_wanted(run: TrackedRun, wanted: str) -> bool:
    return run.run_id.startswith(wanted) or wanted in (run.name, run.tags.get(tag.DAG_RUN_ID))
