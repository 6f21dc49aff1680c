"""Every use case as one function.

The CLI, DAGs, DVC and services enter here and nowhere else. What imports scikit-learn is imported in the functions that
need it, so that entering costs little.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from waterflow.caching.explain import InputChange, StepExplanation
from waterflow.caching.explain import explain as explain_run
from waterflow.config.compose import compose_pipeline
from waterflow.config.header import find_outline
from waterflow.config.project import Project, find_project
from waterflow.data.column_profile import summarise_values
from waterflow.data.preparation import window_for
from waterflow.data.proposed_roles import rank_targets
from waterflow.data.sources.recognition import parse_settings, recognise_source
from waterflow.data.window import window_of
from waterflow.datasets.download import FETCHABLE, Fetchable, is_fetched
from waterflow.datasets.download import fetch as fetch_dataset
from waterflow.datasets.download import find_fetchable as find_dataset
from waterflow.errors import FitError
from waterflow.ledger.replay import last_change
from waterflow.lineage import graph
from waterflow.lineage.graph import LineageNode, broken_nodes, walk_lineage
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory, find_version
from waterflow.operations.garbage_collection import Survey
from waterflow.operations.garbage_collection import remove as remove_objects
from waterflow.operations.garbage_collection import survey as survey_objects
from waterflow.operations.ledger_verification import verify_ledger
from waterflow.operations.pipeline_init import ExaminedData, examine_data, suggest_name, write_pipeline
from waterflow.operations.reconcile import reconcile
from waterflow.operations.signing_keys import list_keys
from waterflow.plurals import counted
from waterflow.promotion.acceptance import accept_rows
from waterflow.promotion.approval import question_of
from waterflow.promotion.champion_alias import find_change_since, shell_user
from waterflow.promotion.rollback import rollback
from waterflow.records.data import Share
from waterflow.records.promotion import Approval, Registered
from waterflow.records.run import Origin, RunRequest, Window
from waterflow.records.training import Trained
from waterflow.reporting.dvc_outputs import write_metrics, write_plots
from waterflow.reporting.verdict_text import verdict_line
from waterflow.resources import Resources, open_for, open_resources
from waterflow.serving.settings import ServiceSettings
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.steps.promote import promote
from waterflow.steps.register import register
from waterflow.steps.train import ReportTrial, ignore_trial, train
from waterflow.stores.base import Entry
from waterflow.tracking.registry import Version

if TYPE_CHECKING:
    import pandas as pd

    from waterflow.operations.audit import Audit
    from waterflow.records.batch import BatchScored
    from waterflow.records.prediction_log import RecordedOutcomes
    from waterflow.reporting.data_profile import DataProfile
    from waterflow.reproduction.comparison import ComparedValue
    from waterflow.reproduction.reproduce import Reproduction
    from waterflow.serving.prediction_log.reading import ServedSummary

MOST_CLASSES = 6

__all__ = [
    "Audit",
    "ComparedValue",
    "Entry",
    "ExaminedData",
    "Fetchable",
    "InputChange",
    "LineageNode",
    "Reproduction",
    "Resources",
    "ServiceSettings",
    "StepExplanation",
    "Survey",
    "Version",
    "accept_rows",
    "audit_store",
    "broken_nodes",
    "evaluate",
    "examine",
    "explain_run",
    "fetch_dataset",
    "find_change_since",
    "find_dataset",
    "interval_window",
    "last_change",
    "list_datasets",
    "list_keys",
    "manual_window",
    "open_for",
    "open_resources",
    "origin_of_shell",
    "predict_file",
    "prepare",
    "profile_data",
    "promote",
    "question_of",
    "rank_targets",
    "read_predictions",
    "reconcile",
    "record_outcomes_from",
    "register",
    "remove_objects",
    "reproduce_version",
    "rollback",
    "run_all",
    "score_interval",
    "shell_user",
    "suggest_name",
    "summarise_values",
    "survey_objects",
    "trace_lineage",
    "train",
    "verdict_line",
    "verify_ledger",
    "walk_lineage",
    "window_of",
    "write_metrics",
    "write_pipeline",
    "write_plots",
]


def run_all(
    request: RunRequest,
    resources: Resources,
    report: Callable[[str, str], None] = lambda step, text: None,
    report_trial: ReportTrial = ignore_trial,
    ask: Callable[[Registered], Approval | None] = lambda registered: None,
) -> Registered:
    """Run the five steps here, one candidate after another.

    A candidate that fails is reported and left out, as a red task would be in Airflow. `report` is called
    with a step's name and a line of progress, `report_trial` with each trial of a search; `ask` is called where the
    pipeline wants a person's approval, and returns None when there is nobody to ask.
    """
    report("prepare", "reading, checking and splitting the rows")
    prepared = prepare(request, resources)
    for line in prepared.reading:
        report("read", line)
    report("prepare", f"{prepared.rows} rows, data {prepared.data.digest[:12]}")
    for share in prepared.shares:
        report("split", describe_share(share))
    with resources.runs.closing(prepared.parent_run_id, success=None):  # an interruption may come between two steps
        trained: list[Trained] = []
        for name in prepared.candidates:
            report("train", name)
            try:
                trained.append(train(prepared, name, prepared.origin, resources, report_trial))
            except FitError as error:
                report("failed", str(error))
                continue
            if trained[-1].tuning_warning:
                report("warning", trained[-1].tuning_warning)
            if trained[-1].cached_from is not None:
                report("cached", f"{name}: fitted by run {trained[-1].cached_from[:8]}")
        report("evaluate", f"{len(trained)} of {counted(len(prepared.candidates), 'candidate')}")
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


def describe_share(share: Share) -> str:
    """Return one part in words: `train 90 rows: no 45`."""
    largest = sorted(share.by_class.items(), key=lambda entry: -entry[1])
    counts = ", ".join(f"{name} {count}" for name, count in largest[:MOST_CLASSES])
    more = f", and {len(largest) - MOST_CLASSES} classes more" if len(largest) > MOST_CLASSES else ""
    return f"{share.part} {share.rows} rows{f': {counts}{more}' if counts else ''}"


def origin_of_shell() -> Origin:
    """Return the origin of a typed run."""
    moment = datetime.now(UTC)
    return Origin(runner="cli", run_id=f"cli__{moment:%Y-%m-%dT%H:%M:%S.%f}_{os.getpid()}")


def manual_window(start: str | None = None, end: str | None = None) -> Window:
    """Return the window of a typed run. It ends now unless `end` is given; raises ConfigError on unreadable times."""
    return window_of("manual", None, {"window_start": start, "window_end": end}, now=datetime.now(UTC))


def predict_file(
    reference: str, source: str | None, output: str, window: Window, resources: Resources, report: Callable[[int], None]
) -> "BatchScored":
    """Predict the rows of a file. Without one, those of the data set."""
    from waterflow.records.batch import BatchRequest
    from waterflow.serving.batch import score_batch
    from waterflow.serving.batch_sources import source_of_path

    pipeline = reference.partition("@")[0]
    find_outline(resources.project.conf, pipeline)
    # Models have the modules that they need, which need not be in own/ any more.
    config = compose_pipeline(resources.project, pipeline, checked=False)
    given = None if source is None else source_of_path(source, config.dataset)
    return score_batch(BatchRequest(reference=reference, output=output, source=given, window=window), resources, report)


def interval_window(
    run_type: str, start: datetime | None, end: datetime | None, conf: Mapping[str, Any], now: datetime
) -> Window:
    """Return the interval of a scoring run. See `serving.interval_scoring.interval_window`."""
    from waterflow.serving import interval_scoring

    return interval_scoring.interval_window(run_type, start, end, conf, now)


def score_interval(
    pipeline: str, window: Window, resources: Resources, report: Callable[[int], None] = lambda rows: None
) -> "BatchScored":
    """Predict the rows of an interval, by the section `score`."""
    from waterflow.serving import interval_scoring

    return interval_scoring.score_interval(pipeline, window, resources, report)


def profile_data(pipeline: str, overrides: Sequence[str], window: Window) -> "DataProfile":
    """Return the profile of a window's rows, with a contract."""
    from waterflow.operations.data_profiling import profile_pipeline  # matplotlib

    project = find_project()
    config = compose_pipeline(project, pipeline, overrides)
    return profile_pipeline(config, window_for(window, config), project)


def examine(data: str, table: str | None, reading: Sequence[str], project: Project, here: Path) -> ExaminedData:
    """Read data that no pipeline describes. `reading` holds settings such as `day_first=true`."""
    dataset = recognise_source(data, project.root, here, table, parse_settings([*reading]))
    return examine_data(dataset, table, project)


def list_datasets() -> list[tuple[Fetchable, bool]]:
    """Return the data sets that can be fetched. The flag says whether it is here."""
    home = find_project().home
    return [(dataset, is_fetched(dataset, home)) for dataset in FETCHABLE.values()]


def serve(settings: ServiceSettings) -> None:
    """Answer requests over HTTP until stopped."""
    from waterflow.serving.supervisor import Supervisor

    Supervisor(find_project(), settings).run()


def trace_lineage(reference: str, resources: Resources) -> LineageNode:
    """Return the lineage of a version as a tree. `reference` is like `iris@3` or `iris@champion`."""
    return graph.trace_lineage(VersionHistory(find_version(reference, resources), resources), Verifier(resources))


def reproduce_version(reference: str, resources: Resources, report: Callable[[str], None]) -> "Reproduction":
    """Train a version again in another process and compare predictions."""
    from waterflow.reproduction.reproduce import reproduce

    return reproduce(find_version(reference, resources), resources, report)


def audit_store(
    pipeline: str | None, resources: Resources, *, reproduced: int, report: Callable[[str], None]
) -> "Audit":
    """Audit one pipeline, or all. Covers bytes, access times, integrity, lineage and reproducibility."""
    from waterflow.operations.audit import audit

    return audit(pipeline, resources, reproduced=reproduced, report=report)


def read_predictions(
    pipeline: str, since: datetime, until: datetime, resources: Resources, out: Path | None = None
) -> "tuple[pd.DataFrame, list[ServedSummary]]":
    """Return recorded predictions, and a summary by version. They may be written to a file."""
    from waterflow.serving.prediction_log import reading

    rows = reading.read_predictions(pipeline, since, until, index=resources.prediction_index, store=resources.store)
    if out is not None:
        reading.write_predictions(rows, out)
    return rows, reading.summarize_predictions(rows)


def record_outcomes_from(pipeline: str, source: str, url_env: str | None, resources: Resources) -> "RecordedOutcomes":
    """Record the outcomes in a file or query."""
    from waterflow.serving.prediction_log import outcome_sources

    return outcome_sources.record_outcomes_from(pipeline, source, url_env, resources)
