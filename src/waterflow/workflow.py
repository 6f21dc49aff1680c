"""The composition root: opens what a profile names and runs one step, or all five in a row."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from waterflow.config.compose import compose_profile
from waterflow.config.project import Project, find_project
from waterflow.errors import FitError, StoreError
from waterflow.operations.reconcile import reconcile
from waterflow.promotion.approval import body_of, subject_of
from waterflow.promotion.rollback import rollback
from waterflow.records import Approval, Origin, Registered, RunRequest, Trained
from waterflow.resources import Resources
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.steps.promote import promote
from waterflow.steps.register import register
from waterflow.steps.train import train
from waterflow.stores.open import open_store
from waterflow.tracking.model_store import CHAMPION, ModelStore
from waterflow.tracking.runs import RunStore

__all__ = ["evaluate", "open_resources", "prepare", "promote", "reconcile", "register", "rollback", "run_all", "train"]


def open_resources(project: Project | None = None, overrides: Sequence[str] = ()) -> Resources:
    """Open the stores of the profile; `overrides` are Hydra's and only those of `profile` count here.

    Raises ConfigError, StoreError or UnreachableError, each in one line.
    """
    project = project or find_project()
    profile = compose_profile(project, overrides)
    try:
        project.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"home: {str(project.home)!r} cannot be made ({error.strerror}); set WATERFLOW_HOME to a folder of yours"
        ) from error
    store = open_store(profile.store_uri)
    runs = RunStore(profile)
    return Resources(project, profile, store, runs, ModelStore(runs.uri, runs.client))


def run_all(
    request: RunRequest,
    resources: Resources,
    report: Callable[[str, str], None] = lambda step, text: None,
    ask: Callable[[Registered], Approval | None] = lambda registered: None,
) -> Registered:
    """Run the five steps in this process, the candidates one after the other.

    A candidate that fails is reported and left out, as a red task would be in Airflow. `report` is called
    with a step's name and a line of progress; `ask` is called where the pipeline wants a person's approval, and
    gives None when there is nobody to ask.
    """
    report("prepare", "reading, checking and splitting the rows")
    prepared = prepare(request, resources)
    report("prepare", f"{prepared.rows} rows, data {prepared.data.digest[:12]}")
    with resources.runs.closing(prepared.parent_run_id, success=None):  # an interruption may come between two steps
        trained: list[Trained] = []
        for name in prepared.candidates:
            report("train", name)
            try:
                trained.append(train(prepared, name, prepared.origin, resources))
            except FitError as error:
                report("failed", str(error))
                continue
            if trained[-1].cached_from is not None:
                report("cached", f"{name}: fitted by run {trained[-1].cached_from[:8]}")
        report("evaluate", f"{len(trained)} of {len(prepared.candidates)} candidates")
        evaluated = evaluate(prepared, trained, resources)
        if evaluated.cached_from is not None:
            report("cached", f"judged by run {evaluated.cached_from[:8]}")
        report("register", evaluated.winner.candidate)
        registered = register(prepared, evaluated, resources)
        approval = ask(registered) if registered.awaits_approval else None
        if registered.new:
            report("promote", f"version {registered.version}")
        else:
            report("cached", registered.reason)
        return promote(prepared, registered, resources, approval)


def question_of(registered: Registered, resources: Resources) -> dict[str, str]:
    """Give what a person is shown who is asked to approve: `subject` and `body`, in Markdown."""
    champion = resources.models.find_alias(registered.model, CHAMPION)
    return {"subject": subject_of(registered), "body": body_of(registered, champion, resources.profile)}


def origin_of_shell() -> Origin:
    """Name a run that was typed, by time and process."""
    moment = datetime.now(UTC)
    return Origin(runner="cli", run_id=f"cli__{moment:%Y-%m-%dT%H:%M:%S.%f}_{os.getpid()}")
