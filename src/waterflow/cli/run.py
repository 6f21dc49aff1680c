"""`waterflow run`, `pipelines` and `show`."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from waterflow.cli import promotion
from waterflow.cli.console import FORCE_HELP, End, Overrides, Start, Yes, err, out, print_step
from waterflow.errors import WaterflowError

if TYPE_CHECKING:
    from waterflow.records.promotion import Registered


def run(
    pipeline: str,
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
    table = Table("pipeline", "task", "candidates", "strategy", "schedule", "valid", box=None, header_style="bold")
    problems = []
    for path in pipeline_files(project.conf):
        try:
            outline = read_outline(path)
            config = compose_pipeline(project, outline.name)
        except WaterflowError as error:
            problems.append(str(error))
            table.add_row(path.stem, "", "", "", "", "[red]no[/red]")
            continue
        schedule = outline.schedule.cron if outline.schedule else "–"
        row = (outline.name, config.task, str(len(config.candidates)), outline.strategy, schedule)
        table.add_row(*row, "[green]yes[/green]")
    out.print(table)
    for problem in problems:
        err.print(f"[red]error:[/red] {escape(problem)}", soft_wrap=True)
    if problems:
        raise typer.Exit(1)


def show(pipeline: str) -> None:
    """Print the versions of PIPELINE with their holdout metrics."""
    from waterflow import workflow
    from waterflow.config.compose import compose_pipeline

    resources = workflow.open_resources()
    metrics = compose_pipeline(resources.project, pipeline).shown_metrics
    table = Table("version", "candidate", *metrics, "aliases", box=None, header_style="bold")
    for version in workflow.list_versions(pipeline, resources):
        values = [_rounded(version.metrics.get(name)) for name in metrics]
        table.add_row(str(version.version), version.candidate, *values, ", ".join(version.aliases) or "–")
    out.print(table)


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
        header_style="bold",
    )
    for entry in evaluated.ranked:
        mark = "green" if entry is evaluated.winner else ""
        values = [_with_spread(entry.metrics.get(name), entry.spread.get(name)) for name in registered.shown_metrics]
        trials = [str(entry.trials or "–")] if is_tuned else []
        seconds = f"{entry.fit_seconds:.2f}" if entry.cached_from is None else "cached"
        table.add_row(entry.candidate, *values, *trials, seconds, style=mark)
    for name in evaluated.missing:
        table.add_row(name, *["–"] * (len(registered.shown_metrics) + is_tuned), "failed", style="red")
    out.print(table)
    holdout = ", ".join(f"{name} {_rounded(evaluated.holdout_metrics.get(name))}" for name in registered.shown_metrics)
    out.print(f"\nwinner      [bold]{evaluated.winner.candidate}[/bold]", highlight=False)
    out.print(f"holdout     {holdout} on {evaluated.holdout_rows} rows", highlight=False, soft_wrap=True)
    aliases = f"  [green]@{' @'.join(registered.aliases)}[/green]" if registered.aliases else "  (no alias)"
    label = "registered " if registered.new else "unchanged  "
    out.print(f"{label} [bold]{registered.model}[/bold] version {registered.version}{aliases}", highlight=False)
    promotion.print_decision(registered)
    out.print()
    for label, (command, purpose) in zip(("next", ""), what_next(registered, mlflow_url), strict=True):
        out.print(f"{label:<11} [bold]{command:<30}[/bold]  {purpose}", highlight=False, soft_wrap=True)


def what_next(registered: "Registered", mlflow_url: str | None) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the next two commands to type, with their purpose."""
    if mlflow_url is None:
        show = f".venv/bin/waterflow show {registered.model}"
        return ("make ui", "compare the runs in MLflow"), (show, "all versions of this model")
    run = f"experiments/{registered.experiment_id}/runs/{registered.parent_run_id}?workflowType=machine_learning"
    show = f"waterflow show {registered.model}"
    return (f"{mlflow_url}/#/{run}", "this run in MLflow"), (show, "all versions of this model")


def _rounded(value: float | str | None) -> str:
    return "–" if value is None else f"{float(value):.4f}"


def _with_spread(value: float | None, spread: float | None) -> str:
    return _rounded(value) if spread is None else f"{_rounded(value)} ± {_rounded(spread)}"
