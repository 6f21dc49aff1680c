"""Every use case as one function.

The CLI, DAGs, DVC and services enter here and nowhere else.
A function whose capability not every caller needs imports it in its body, so that entering costs little.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waterflow.config.compose import compose_pipeline, compose_profile
from waterflow.config.header import find_outline
from waterflow.config.project import Project, find_project
from waterflow.errors import FitError, StoreError
from waterflow.operations.reconcile import reconcile
from waterflow.operations.signing_keys import list_keys
from waterflow.promotion.champion_alias import shell_user
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated, Verdict
from waterflow.records.promotion import Approval, Decision, Registered
from waterflow.records.run import Origin, RunRequest, Window
from waterflow.records.training import Trained
from waterflow.resources import Resources
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.steps.promote import promote
from waterflow.steps.register import register
from waterflow.steps.train import train
from waterflow.stores.open import open_store
from waterflow.tracking.registry import CHAMPION
from waterflow.tracking.runs import RunStore

if TYPE_CHECKING:
    from waterflow.caching.explain import InputChange, RunExplanation, StepExplanation
    from waterflow.datasets.download import Fetchable
    from waterflow.lineage.graph import LineageNode
    from waterflow.operations.audit import Audit
    from waterflow.operations.garbage_collection import Survey
    from waterflow.reproduction.comparison import ComparedValue
    from waterflow.reproduction.reproduce import Reproduction
    from waterflow.stores.base import Entry
    from waterflow.tracking.registry import Version

__all__ = [
    # The steps, and what a caller of `workflow` sees of the records of other rooms.
    "Audit",
    "ComparedValue",
    "Entry",
    "Fetchable",
    "InputChange",
    "LineageNode",
    "Reproduction",
    "Resources",
    "RunExplanation",
    "StepExplanation",
    "Survey",
    "Version",
    "evaluate",
    "list_keys",
    "prepare",
    "promote",
    "reconcile",
    "register",
    "shell_user",
    "train",
]


def open_resources(project: Project | None = None, overrides: Sequence[str] = ()) -> Resources:
    """Open the stores of the profile.

    `overrides` are Hydra's; only those of `profile` count here.

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
    return Resources(project, profile, open_store(profile.store_uri), RunStore(profile))


def run_all(
    request: RunRequest,
    resources: Resources,
    report: Callable[[str, str], None] = lambda step, text: None,
    ask: Callable[[Registered], Approval | None] = lambda registered: None,
) -> Registered:
    """Run the five steps here, one candidate after another.

    A candidate that fails is reported and left out, as a red task would be in Airflow. `report` is called
    with a step's name and a line of progress; `ask` is called where the pipeline wants a person's approval, and
    gives None when there is nobody to ask.
    """
    report("prepare", "reading, checking and splitting the rows")
    prepared = prepare(request, resources)
    for line in prepared.reading:
        report("read", line)
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
            report("cached", f"evaluated by run {evaluated.cached_from[:8]}")
        report("register", evaluated.winner.candidate)
        registered = register(prepared, evaluated, resources)
        approval = ask(registered) if registered.awaits_approval else None
        if registered.new:
            report("promote", f"version {registered.version}")
        else:
            report("cached", registered.reason)
        return promote(prepared, registered, resources, approval)


def write_dvc_files(
    prepared: Prepared, evaluated: Evaluated, resources: Resources, *, metrics: Path | None, plots: Path | None
) -> None:
    """Write an evaluation's metrics and plot data for DVC."""
    from waterflow.reporting.dvc_outputs import write_metrics, write_plots

    if metrics is not None:
        write_metrics(metrics, prepared, evaluated, resources)
    if plots is not None:
        write_plots(plots, evaluated, resources)


def question_of(registered: Registered, resources: Resources) -> dict[str, str]:
    """Return the question of an approval. `subject` and `body` are Markdown."""
    from waterflow.promotion.approval import approval_body, approval_subject

    champion = resources.registry.find_alias(registered.model, CHAMPION)
    return {"subject": approval_subject(registered), "body": approval_body(registered, champion, resources.profile)}


def origin_of_shell() -> Origin:
    """Return the origin of a typed run."""
    moment = datetime.now(UTC)
    return Origin(runner="cli", run_id=f"cli__{moment:%Y-%m-%dT%H:%M:%S.%f}_{os.getpid()}")


def manual_window(start: str | None = None, end: str | None = None) -> Window:
    """Return the window of a typed run. It ends now unless `end` is given; raises ConfigError on unreadable times."""
    from waterflow.data.window import window_of

    return window_of("manual", None, {"window_start": start, "window_end": end}, now=datetime.now(UTC))


def dag_run_window(run_type: str, interval_end: datetime | None, form: Mapping[str, Any], now: datetime) -> Window:
    """Return the window of a DAG run, see `data.window.window_of`."""
    from waterflow.data.window import window_of

    return window_of(run_type, interval_end, form, now)


def open_for(pipeline: str) -> Resources:
    """Open the profile's stores for a pipeline. Raises ConfigError unless it has a YAML."""
    resources = open_resources()
    find_outline(resources.project.conf, pipeline)
    return resources


def propose_contract(pipeline: str, overrides: Sequence[str], window: Window) -> str:
    """Return a contract for a window's rows, as YAML."""
    from waterflow.data.contract_inference import infer_contract
    from waterflow.data.preparation import window_for
    from waterflow.stores.open import copy_object

    project = find_project()
    config = compose_pipeline(project, pipeline, overrides)
    return infer_contract(config, window_for(window, config), project, copy_object)


def list_datasets() -> "list[tuple[Fetchable, bool]]":
    """Return the data sets that can be fetched. The flag says whether it is here."""
    from waterflow.datasets.download import FETCHABLE, is_fetched

    home = find_project().home
    return [(dataset, is_fetched(dataset, home)) for dataset in FETCHABLE.values()]


def find_dataset(name: str) -> "Fetchable":
    """Return a data set that can be fetched. Raises ConfigError on an unknown name."""
    from waterflow.datasets.download import find_fetchable

    return find_fetchable(name)


def fetch_dataset(dataset: "Fetchable", archive: Path | None) -> list[Path]:
    """Fetch a data set below the project's home."""
    from waterflow.datasets.download import fetch

    return fetch(dataset, find_project().home, archive)


def list_versions(pipeline: str, resources: Resources) -> "list[Version]":
    """Return the registered versions of a pipeline, newest first. Raises TrackingError where there is none."""
    return resources.registry.list_versions(pipeline)


def explain_run(pipeline: str, run: str | None, resources: Resources) -> "RunExplanation":
    """Explain why each step was done or reused. The latest run if `run` is None."""
    from waterflow.caching.explain import explain

    return explain(pipeline, run, resources)


def trace_lineage(reference: str, resources: Resources) -> "LineageNode":
    """Return the lineage of a version as a tree. `reference` is like `iris@3` or `iris@champion`."""
    from waterflow.lineage import graph
    from waterflow.lineage.verification import Verifier
    from waterflow.lineage.version_history import VersionHistory, find_version

    return graph.trace_lineage(VersionHistory(find_version(reference, resources), resources), Verifier(resources))


def list_nodes(lineage: "LineageNode") -> "list[LineageNode]":
    """Return every node of a lineage."""
    from waterflow.lineage.graph import walk_lineage

    return list(walk_lineage(lineage))


def reproduce_version(reference: str, resources: Resources, report: Callable[[str], None]) -> "Reproduction":
    """Train a version again in another process and compare predictions."""
    from waterflow.lineage.version_history import find_version
    from waterflow.reproduction.reproduce import reproduce

    return reproduce(find_version(reference, resources), resources, report)


def audit_store(
    pipeline: str | None, resources: Resources, *, reproduced: int, report: Callable[[str], None]
) -> "Audit":
    """Audit one pipeline, or all. Covers bytes, access times, integrity, lineage and reproducibility."""
    from waterflow.operations.audit import audit

    return audit(pipeline, resources, reproduced=reproduced, report=report)


def survey_objects(age: timedelta, resources: Resources) -> "Survey":
    """Return objects older than `age` that nothing needs any more."""
    from waterflow.operations.garbage_collection import survey

    return survey(resources, age, datetime.now(UTC))


def remove_objects(survey: "Survey", resources: Resources) -> None:
    """Remove the objects that a survey found unneeded. Raises StoreError where something needed could be lost."""
    from waterflow.operations.garbage_collection import remove

    remove(survey, resources)


def verify_ledger(pipeline: str, resources: Resources) -> list[str]:
    """Replay the ledger and return each contradiction as a line."""
    from waterflow.promotion.champion_alias import verify

    return verify(pipeline, resources)


def champion_decision(pipeline: str, moment: datetime | None, resources: Resources) -> Decision | None:
    """Return the decision that made the champion of a moment. The moment is now by default; None without a champion."""
    from waterflow.ledger.replay import last_change

    return last_change(resources.ledger.entries(pipeline), moment)


def find_change_since(row: Decision, resources: Resources) -> str:
    """Return how the registry differs from a row's champion. Empty if it does not."""
    from waterflow.promotion.champion_alias import find_change_since as find

    return find(row, resources)


def rollback(model: str, to: int | None, reason: str, actor: str, resources: Resources) -> tuple[Decision, bool]:
    """Restore an earlier champion. Returns the ledger's row and whether it is new."""
    from waterflow.promotion.rollback import rollback as roll_back

    return roll_back(model, to, reason, actor, resources)


def describe_verdict(verdict: Verdict) -> str:
    """Return a verdict in one line."""
    from waterflow.reporting.verdict_text import verdict_line

    return verdict_line(verdict)
