"""The command `waterflow`: running pipelines and single steps, listing and showing what there is."""

import gc
import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.logging import RichHandler
from rich.markup import escape
from rich.table import Table

from waterflow.cli import audit, lineage, operations, promotion, why
from waterflow.cli.console import err, out, widen
from waterflow.cli.data import breaks_table, data_app
from waterflow.errors import ConfigError, ContractError, WaterflowError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waterflow.records import Record, Registered

app = typer.Typer(
    help="Run, inspect and operate training pipelines.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
step_app = typer.Typer(help="Run one step on records in JSON files.", no_args_is_help=True)
app.add_typer(step_app, name="step")
app.add_typer(data_app, name="data")
for command in (promotion.ledger, promotion.champion, promotion.rollback):
    app.command()(command)
app.command()(lineage.lineage)
app.command()(lineage.reproduce)
app.command()(audit.audit)
app.command()(operations.gc)
app.command()(why.why)

Kind = TypeVar("Kind", bound="Record")

Overrides = Annotated[list[str] | None, typer.Argument(help="Hydra overrides, such as strategy=quick")]
RecordFile = Annotated[Path, typer.Option("--out", help="where the step's record goes")]


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and every log line.")] = False,
) -> None:
    """Set up logging for this process."""
    widen()
    logging.basicConfig(
        level=logging.INFO if debug else logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err, show_path=False, show_time=debug)],
        force=True,
    )
    for noisy in ("alembic", "mlflow.store.db.utils", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.INFO if debug else logging.ERROR)


@app.command()
def run(
    pipeline: str,
    overrides: Overrides = None,
    start: Annotated[str | None, typer.Option(help="first moment of the window, like 2013-01-01")] = None,
    end: Annotated[str | None, typer.Option(help="end of the window, not included; now unless given")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Approve a promotion that wants a person's approval.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Fit and judge anew what an earlier run has done.")] = False,
) -> None:
    """Prepare, train, evaluate, register and promote PIPELINE in this process, without Airflow."""
    from waterflow import workflow
    from waterflow.records import RunRequest

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


@app.command()
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


@app.command()
def show(pipeline: str) -> None:
    """Print the registered versions of PIPELINE, newest first, with aliases and metrics on the holdout."""
    from waterflow import workflow
    from waterflow.config.compose import compose_pipeline

    resources = workflow.open_resources()
    metrics = compose_pipeline(resources.project, pipeline).shown_metrics
    table = Table("version", "candidate", *metrics, "aliases", box=None, header_style="bold")
    for version in workflow.list_versions(pipeline, resources):
        values = [_rounded(version.metrics.get(name)) for name in metrics]
        table.add_row(str(version.number), version.candidate, *values, ", ".join(version.aliases) or "–")
    out.print(table)


@step_app.command("prepare")
def step_prepare(
    pipeline: str,
    record: RecordFile,
    overrides: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Let the later steps fit and judge anew.")] = False,
) -> None:
    """Read, check, split and store the rows of PIPELINE."""
    from waterflow import workflow
    from waterflow.records import RunRequest, Window

    resources = workflow.open_resources(overrides=overrides or ())
    origin = workflow.origin_of_shell().model_copy(update={"runner": "step"})
    window = Window(end=datetime.now(UTC))
    request = RunRequest(pipeline=pipeline, origin=origin, window=window, overrides=tuple(overrides or ()), force=force)
    _write_record(record, workflow.prepare(request, resources))


@step_app.command("train")
def step_train(
    candidate: str,
    record: RecordFile,
    prepared: Annotated[Path, typer.Option(help="the record of prepare")],
) -> None:
    """Fit one CANDIDATE on the prepared rows."""
    from waterflow import workflow
    from waterflow.records import Prepared

    before = _read_record(Prepared, prepared)
    _write_record(record, workflow.train(before, candidate, before.origin, workflow.open_resources()))


@step_app.command("evaluate")
def step_evaluate(
    trained: Annotated[list[Path], typer.Argument(help="the records of train, or the folder that they lie in")],
    record: RecordFile,
    prepared: Annotated[Path, typer.Option(help="the record of prepare")],
    metrics: Annotated[Path | None, typer.Option(help="where the metrics go, as JSON for DVC")] = None,
    plots: Annotated[Path | None, typer.Option(help="a folder for the data of DVC's plots, as CSV")] = None,
) -> None:
    """Compare the trained candidates and judge the winner on the holdout."""
    from waterflow import workflow
    from waterflow.records import Prepared, Trained

    before, resources = _read_record(Prepared, prepared), workflow.open_resources()
    paths = [found for path in trained for found in _records_at(path, before.candidates)]
    evaluated = workflow.evaluate(before, [_read_record(Trained, path) for path in paths], resources)
    workflow.write_dvc_files(before, evaluated, resources, metrics=metrics, plots=plots)
    _write_record(record, evaluated)


@step_app.command("register")
def step_register(
    record: RecordFile,
    prepared: Annotated[Path, typer.Option(help="the record of prepare")],
    evaluated: Annotated[Path, typer.Option(help="the record of evaluate")],
) -> None:
    """Register the winner, and check it as it would be served if its verdict is good."""
    from waterflow import workflow
    from waterflow.records import Evaluated, Prepared

    before = _read_record(Prepared, prepared)
    judged = _read_record(Evaluated, evaluated)
    _write_record(record, workflow.register(before, judged, workflow.open_resources()))


@step_app.command("promote")
def step_promote(
    record: RecordFile,
    prepared: Annotated[Path, typer.Option(help="the record of prepare")],
    registered: Annotated[Path, typer.Option(help="the record of register")],
    yes: Annotated[bool, typer.Option("--yes", help="Approve a promotion that wants a person's approval.")] = False,
) -> None:
    """Decide on the registered version, write that into the ledger, and move the champion's alias if it won."""
    from waterflow import workflow
    from waterflow.records import Prepared, Registered

    resources = workflow.open_resources()
    entry = _read_record(Registered, registered)
    approval = promotion.asker(yes, resources)(entry) if entry.awaits_approval else None
    _write_record(record, workflow.promote(_read_record(Prepared, prepared), entry, resources, approval))


def print_progress(step: str, text: str) -> None:
    """Print one line of progress while a run goes on."""
    colour = {"failed": "red", "cached": "green"}.get(step, "cyan")
    out.print(f"[{colour}]{step:>9}[/{colour}]  {escape(text)}", highlight=False, soft_wrap=True)


def print_result(registered: "Registered", mlflow_url: str | None = None) -> None:
    """Print the table that a run ends with: candidates, winner, version, aliases, what to type next."""
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
    """Give the two commands worth typing next, each with its purpose; on the stack MLflow is a page to open."""
    if mlflow_url is None:
        show = f".venv/bin/waterflow show {registered.model}"
        return ("make ui", "compare the runs in MLflow"), (show, "all versions of this model")
    run = f"experiments/{registered.experiment_id}/runs/{registered.parent_run_id}?workflowType=machine_learning"
    show = f"waterflow show {registered.model}"
    return (f"{mlflow_url}/#/{run}", "this run in MLflow"), (show, "all versions of this model")


def main() -> None:
    """Run the command; an error of ours becomes one line and exit code 1, unless `--debug` asks for more."""
    # MLflow and scikit-learn make a million objects that stay; looking through them again and again for garbage
    # takes a tenth of a short run.
    gc.set_threshold(100_000, 20, 20)
    try:
        app()
    except WaterflowError as error:
        if "--debug" in sys.argv:
            raise
        if isinstance(error, ContractError):
            err.print(breaks_table(error))
        err.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True, highlight=False)
        sys.exit(1)


def _rounded(value: float | str | None) -> str:
    return "–" if value is None else f"{float(value):.4f}"


def _with_spread(value: float | None, spread: float | None) -> str:
    return _rounded(value) if spread is None else f"{_rounded(value)} ± {_rounded(spread)}"


def _records_at(path: Path, candidates: "Sequence[str]") -> list[Path]:
    """Give a record's path, or in a folder those of the candidates that have one, whatever else lies there."""
    if not path.is_dir():
        return [path]
    return [path / f"{name}.json" for name in candidates if (path / f"{name}.json").is_file()]


def _read_record(kind: "type[Kind]", path: Path) -> "Kind":
    try:
        return kind.from_json(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:  # pydantic's error is a ValueError too, of many lines
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{path}: no record {kind.__name__} can be read ({reason}); give the file that the step before wrote"
        ) from error


def _write_record(path: Path, record: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record.to_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    out.print(f"wrote {path}", highlight=False)
