"""`waterflow run`, `pipelines` and `show`."""

import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from waterflow.cli import promotion
from waterflow.cli.console import (
    FORCE_HELP,
    AsJson,
    End,
    Overrides,
    Pipeline,
    Start,
    Yes,
    out,
    print_json,
    print_table,
    say,
    warn,
)
from waterflow.cli.progress import Progress
from waterflow.config.header import check_known
from waterflow.errors import ConfigError, WaterflowError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from waterflow.config.project import Project
    from waterflow.records.promotion import Approval, Registered
    from waterflow.records.run import RunRequest
    from waterflow.workflow import Resources, Version


FAILING_KINDS = ("hold", "reject", "canary")
FAILED_CODE, INTERRUPTED_CODE = 3, 130


def run(
    pipeline: Pipeline,
    overrides: Overrides = None,
    start: Start = None,
    end: End = None,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help=FORCE_HELP)] = False,
    fail_on: Annotated[
        str | None,
        typer.Option("--fail-on", metavar="KINDS", help="Exit with code 3 after these decisions, such as hold,reject."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the five steps of PIPELINE without Airflow."""
    from waterflow import workflow
    from waterflow.config.header import find_outline
    from waterflow.config.project import find_project
    from waterflow.records.run import RunRequest

    find_outline(find_project().conf, pipeline)
    kinds = _read_kinds(fail_on)
    window = workflow.manual_window(start, end)
    resources = workflow.open_resources(overrides=overrides or ())
    request = RunRequest(
        pipeline=pipeline,
        origin=workflow.origin_of_shell(),
        window=window,
        overrides=tuple(entry for entry in overrides or () if not entry.lstrip("+").startswith("profile")),
        force=force,
    )
    try:
        registered = run_with_progress(request, resources, promotion.asker(yes, resources), silent=as_json)
    except KeyboardInterrupt:
        warn("stopped", f"by Ctrl-C. {describe_kept(force)}")
        raise typer.Exit(INTERRUPTED_CODE) from None
    if as_json:
        print_json(registered.to_json())
    else:
        print_result(registered, resources)
    if registered.decision is not None and registered.decision.kind in kinds:
        warn("failed", f"the decision is {registered.decision.kind}, and --fail-on lists it")
        raise typer.Exit(FAILED_CODE)


def run_with_progress(
    request: "RunRequest",
    resources: "Resources",
    ask: "Callable[[Registered], Approval | None]",
    *,
    silent: bool,
) -> "Registered":
    """Run the five steps and show their progress, unless silent."""
    from waterflow import workflow

    if silent:
        return workflow.run_all(request, resources, ask=ask)
    progress = Progress()

    def ask_alone(registered: "Registered") -> "Approval | None":
        with progress.paused():
            return ask(registered)

    with progress.running():
        return workflow.run_all(request, resources, progress.report, progress.report_trial, ask_alone)


def describe_kept(force: bool) -> str:
    """Describe what an interrupted run keeps."""
    typed = shlex.join(["waterflow", *(entry for entry in sys.argv[1:] if entry != "--force")])
    begun = " (not with --force, which would fit them again)" if force else ""
    return (
        "Kept are the stored rows, every candidate that was fitted, and the finished trials of a search; the same "
        f"command goes on from there{begun}: {typed}"
    )


def _read_kinds(fail_on: str | None) -> tuple[str, ...]:
    kinds = tuple(kind.strip() for kind in fail_on.split(",")) if fail_on is not None else ()
    for kind in kinds:
        check_known(kind, FAILING_KINDS, "--fail-on")
    return kinds


def pipelines(as_json: AsJson = False) -> None:
    """List the pipelines of conf/ and validate each of them."""
    from waterflow.config.header import pipeline_files
    from waterflow.config.project import find_project

    project = find_project()
    entries = [_describe_pipeline(path, project) for path in pipeline_files(project.conf)]
    problems = [entry["problem"] for entry in entries if entry["problem"]]
    if as_json:
        print_json(entries)
    else:
        print_table(("pipeline", "task", "candidates", "strategy", "schedule", "valid"), map(_pipeline_row, entries))
        for problem in problems:
            warn("error", problem)
    if problems:
        raise typer.Exit(1)


def _describe_pipeline(path: "Path", project: "Project") -> dict[str, Any]:
    from waterflow.config.compose import compose_pipeline
    from waterflow.config.header import read_outline

    entry: dict[str, Any] = dict.fromkeys(("pipeline", "task", "candidates", "strategy", "schedule", "problem"))
    entry |= {"pipeline": path.stem, "candidates": [], "valid": False}
    try:
        outline = read_outline(path)
        config = compose_pipeline(project, outline.name)
    except WaterflowError as error:
        return entry | {"problem": str(error)}
    return entry | {
        "task": config.task,
        "candidates": list(config.candidates),
        "strategy": outline.strategy,
        "schedule": outline.schedule.cron if outline.schedule else None,
        "valid": True,
    }


def _pipeline_row(entry: dict[str, Any]) -> tuple[str, ...]:
    if not entry["valid"]:
        return (entry["pipeline"], "", "", "", "", "[red]no[/red]")
    count, schedule = str(len(entry["candidates"])), entry["schedule"] or "–"
    return (entry["pipeline"], entry["task"], count, entry["strategy"], schedule, "[green]yes[/green]")


def show(pipeline: Pipeline, as_json: AsJson = False) -> None:
    """Print the versions of PIPELINE with their holdout metrics."""
    from waterflow import workflow

    resources = workflow.open_resources()
    shown = _shown_metrics(pipeline, resources)
    versions = resources.registry.list_versions(pipeline)
    metrics = shown or tuple(dict.fromkeys(name for entry in versions for name in entry.metrics))
    if as_json:
        print_json({"model": pipeline, "metrics": list(metrics), "versions": [_describe_version(v) for v in versions]})
        return
    rows = []
    for entry in versions:
        values = (_rounded(entry.metrics.get(name)) for name in metrics)
        rows.append((str(entry.version), entry.candidate, *values, ", ".join(entry.aliases) or "–"))
    print_table(("version", "candidate", *metrics, "aliases"), rows)


def _shown_metrics(pipeline: str, resources: "Resources") -> tuple[str, ...]:
    """Return the metrics that the YAML says to show. What is registered counts where there is no valid one."""
    from waterflow.config.compose import compose_pipeline

    try:
        return compose_pipeline(resources.project, pipeline, checked=False).shown_metrics
    except ConfigError as error:
        if pipeline not in resources.registry.list_models():
            raise
        warn("note", f"{error}; the metrics are those of the versions", "yellow")
        return ()


def _describe_version(entry: "Version") -> dict[str, Any]:
    return {
        "version": entry.version,
        "candidate": entry.candidate,
        "aliases": list(entry.aliases),
        "metrics": entry.metrics,
        "model_id": entry.model_id,
        "run_id": entry.run_id,
    }


def print_result(registered: "Registered", resources: "Resources") -> None:
    """Print the result of a run."""
    evaluated = registered.evaluated
    is_tuned = any(entry.trials for entry in evaluated.ranked)
    table = Table(
        "candidate",
        *registered.shown_metrics,
        *(["trials"] if is_tuned else []),
        "fit (s)",
        title=f"\n{registered.model}: candidates {evaluated.winner.where}",
        title_justify="left",
        title_style="bold",
        box=None,
    )
    for entry in evaluated.ranked:
        mark = "green" if entry is evaluated.winner else ""
        values = [_rounded(entry.metrics.get(name), entry.spread.get(name)) for name in registered.shown_metrics]
        trials = [str(entry.trials or "–")] if is_tuned else []
        seconds = f"{entry.fit_seconds:.2f}" if entry.cached_from is None else "cached"
        table.add_row(entry.candidate, *values, *trials, seconds, style=mark)
    for name in evaluated.missing:
        table.add_row(name, *["–"] * (len(registered.shown_metrics) + is_tuned), "failed", style="red")
    out.print(table)
    holdout = ", ".join(f"{name} {_rounded(evaluated.holdout_metrics.get(name))}" for name in registered.shown_metrics)
    say(f"\nwinner      [bold]{evaluated.winner.candidate}[/bold]")
    say(f"holdout     {holdout} on {evaluated.holdout_rows} rows")
    aliases = f"  [green]@{' @'.join(registered.aliases)}[/green]" if registered.aliases else "  (no alias)"
    label = "registered " if registered.new else "unchanged  "
    say(f"{label} [bold]{registered.model}[/bold] version {registered.version}{aliases}")
    promotion.print_decision(registered)
    out.print()
    for label, (command, purpose) in zip(("next", ""), what_next(registered, resources), strict=True):
        say(f"{label:<11} [bold]{command:<30}[/bold]  {purpose}")


def what_next(registered: "Registered", resources: "Resources") -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the next two commands to type, with their purpose."""
    show, mlflow_url = (
        (f"waterflow show {registered.model}", "all versions of this model"),
        resources.profile.mlflow_url,
    )
    if mlflow_url is None:
        is_checkout = (resources.project.root / "Makefile").is_file()
        ui = "make ui" if is_checkout else f"mlflow ui --port 5001 --backend-store-uri {resources.profile.tracking_uri}"
        return (ui, "compare the runs in MLflow"), (f".venv/bin/{show[0]}" if is_checkout else show[0], show[1])
    run = f"experiments/{registered.experiment_id}/runs/{registered.parent_run_id}?workflowType=machine_learning"
    return (f"{mlflow_url}/#/{run}", "this run in MLflow"), show


def _rounded(value: float | str | None, spread: float | None = None) -> str:
    rounded = "–" if value is None else f"{float(value):.4f}"
    return rounded if spread is None else f"{rounded} ± {spread:.4f}"
