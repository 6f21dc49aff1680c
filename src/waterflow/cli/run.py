"""`waterflow run`, `pipelines` and `show`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from waterflow.cli import promotion
from waterflow.cli.console import (
    FORCE_HELP,
    End,
    Overrides,
    Pipeline,
    Start,
    Yes,
    out,
    print_step,
    print_table,
    say,
    warn,
)
from waterflow.errors import WaterflowError

if TYPE_CHECKING:
    from waterflow.records.promotion import Registered


def run(
    pipeline: Pipeline,
    overrides: Overrides = None,
    start: Start = None,
    end: End = None,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help=FORCE_HELP)] = False,
) -> None:
    """Run the five steps of PIPELINE without Airflow."""
    from waterflow import workflow
    from waterflow.records.run import RunRequest

    window = workflow.manual_window(start, end)
    resources = workflow.open_resources(overrides=overrides or ())
    request = RunRequest(
        pipeline=pipeline,
        origin=workflow.origin_of_shell(),
        window=window,
        overrides=tuple(entry for entry in overrides or () if not entry.lstrip("+").startswith("profile")),
        force=force,
    )
    registered = workflow.run_all(request, resources, report=print_progress, ask=promotion.asker(yes, resources))
    print_result(registered, resources.profile.mlflow_url)


def pipelines() -> None:
    """List the pipelines of conf/ and validate each of them."""
    from waterflow.config.compose import compose_pipeline
    from waterflow.config.header import pipeline_files, read_outline
    from waterflow.config.project import find_project

    project = find_project()
    rows, problems = [], []
    for path in pipeline_files(project.conf):
        try:
            outline = read_outline(path)
            config = compose_pipeline(project, outline.name)
        except WaterflowError as error:
            problems.append(str(error))
            rows.append((path.stem, "", "", "", "", "[red]no[/red]"))
            continue
        schedule = outline.schedule.cron if outline.schedule else "–"
        count = str(len(config.candidates))
        rows.append((outline.name, config.task, count, outline.strategy, schedule, "[green]yes[/green]"))
    print_table(("pipeline", "task", "candidates", "strategy", "schedule", "valid"), rows)
    for problem in problems:
        warn("error", problem)
    if problems:
        raise typer.Exit(1)


def show(pipeline: Pipeline) -> None:
    """Print the versions of PIPELINE with their holdout metrics."""
    from waterflow import workflow
    from waterflow.config.compose import compose_pipeline

    resources = workflow.open_resources()
    metrics = compose_pipeline(resources.project, pipeline).shown_metrics
    rows = []
    for entry in resources.registry.list_versions(pipeline):
        values = (_rounded(entry.metrics.get(name)) for name in metrics)
        rows.append((str(entry.version), entry.candidate, *values, ", ".join(entry.aliases) or "–"))
    print_table(("version", "candidate", *metrics, "aliases"), rows)


def print_progress(step: str, text: str) -> None:
    """Print one line of progress of a run."""
    print_step(step, text, {"failed": "red", "cached": "green"}.get(step, "cyan"))


def print_result(registered: "Registered", mlflow_url: str | None = None) -> None:
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
    for label, (command, purpose) in zip(("next", ""), what_next(registered, mlflow_url), strict=True):
        say(f"{label:<11} [bold]{command:<30}[/bold]  {purpose}")


def what_next(registered: "Registered", mlflow_url: str | None) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the next two commands to type, with their purpose."""
    if mlflow_url is None:
        show = f".venv/bin/waterflow show {registered.model}"
        return ("make ui", "compare the runs in MLflow"), (show, "all versions of this model")
    run = f"experiments/{registered.experiment_id}/runs/{registered.parent_run_id}?workflowType=machine_learning"
    show = f"waterflow show {registered.model}"
    return (f"{mlflow_url}/#/{run}", "this run in MLflow"), (show, "all versions of this model")


def _rounded(value: float | str | None, spread: float | None = None) -> str:
    rounded = "–" if value is None else f"{float(value):.4f}"
    return rounded if spread is None else f"{rounded} ± {spread:.4f}"
