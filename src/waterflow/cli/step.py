"""`waterflow step`, for runners such as DVC."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from waterflow.cli import promotion
from waterflow.cli.console import Overrides, Pipeline, Yes, say
from waterflow.errors import ConfigError

if TYPE_CHECKING:
    from waterflow.records.base import Record

Kind = TypeVar("Kind", bound="Record")
Out = Annotated[Path, typer.Option("--out", help="The file to write the step's record to.")]
PreparedFile = Annotated[Path, typer.Option("--prepared", help="The record of prepare.")]

step_app = typer.Typer(help="Run one step on records in JSON files.", no_args_is_help=True)


@step_app.command("prepare")
def step_prepare(
    pipeline: Pipeline,
    record: Out,
    overrides: Overrides = None,
    force: Annotated[bool, typer.Option("--force", help="Let the later steps fit and evaluate again.")] = False,
) -> None:
    """Read, check, split and store the rows of PIPELINE."""
    from waterflow import workflow
    from waterflow.records.run import RunRequest, Window

    resources = workflow.open_resources(overrides=overrides or ())
    origin = workflow.origin_of_shell().model_copy(update={"runner": "step"})
    window = Window(end=datetime.now(UTC))
    request = RunRequest(pipeline=pipeline, origin=origin, window=window, overrides=tuple(overrides or ()), force=force)
    _write_record(record, workflow.prepare(request, resources))


@step_app.command("train")
def step_train(candidate: str, record: Out, prepared: PreparedFile) -> None:
    """Fit one CANDIDATE on the prepared rows."""
    from waterflow import workflow
    from waterflow.records.data import Prepared

    before = _read_record(Prepared, prepared)
    _write_record(record, workflow.train(before, candidate, before.origin, workflow.open_resources()))


@step_app.command("evaluate")
def step_evaluate(
    trained: Annotated[list[Path], typer.Argument(help="The records of train, or their folder.")],
    record: Out,
    prepared: PreparedFile,
    metrics: Annotated[Path | None, typer.Option(help="A file for the metrics, as JSON for DVC.")] = None,
    plots: Annotated[Path | None, typer.Option(help="A folder for the data of DVC's plots, as CSV.")] = None,
) -> None:
    """Compare the candidates and evaluate the winner on the holdout."""
    from waterflow import workflow
    from waterflow.records.data import Prepared
    from waterflow.records.training import Trained

    before, resources = _read_record(Prepared, prepared), workflow.open_resources()
    named = [[path / f"{name}.json" for name in before.candidates] if path.is_dir() else [path] for path in trained]
    paths = [path for files in named for path in files if path.is_file() or path in trained]
    evaluated = workflow.evaluate(before, [_read_record(Trained, path) for path in paths], resources)
    if metrics is not None:
        workflow.write_metrics(metrics, before, evaluated, resources)
    if plots is not None:
        workflow.write_plots(plots, evaluated, resources)
    _write_record(record, evaluated)


@step_app.command("register")
def step_register(
    record: Out,
    prepared: PreparedFile,
    evaluated: Annotated[Path, typer.Option(help="The record of evaluate.")],
) -> None:
    """Register the winner. Run the staging checks if its verdict allows."""
    from waterflow import workflow
    from waterflow.records.data import Prepared
    from waterflow.records.evaluation import Evaluated

    before = _read_record(Prepared, prepared)
    _write_record(record, workflow.register(before, _read_record(Evaluated, evaluated), workflow.open_resources()))


@step_app.command("promote")
def step_promote(
    record: Out,
    prepared: PreparedFile,
    registered: Annotated[Path, typer.Option(help="The record of register.")],
    yes: Yes = False,
) -> None:
    """Decide on the registered version and record the decision."""
    from waterflow import workflow
    from waterflow.records.data import Prepared
    from waterflow.records.promotion import Registered

    resources = workflow.open_resources()
    entry = _read_record(Registered, registered)
    approval = promotion.asker(yes, resources)(entry) if entry.awaits_approval else None
    _write_record(record, workflow.promote(_read_record(Prepared, prepared), entry, resources, approval))


def _read_record(kind: "type[Kind]", path: Path) -> "Kind":
    try:
        return kind.from_json(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError) as error:  # pydantic's error is a ValueError too, of many lines
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"{path}: not a record of {kind.__name__} ({reason}); name the file that the previous step wrote"
        ) from error


def _write_record(path: Path, record: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record.to_json(), indent=2, ensure_ascii=False) + "\n", "utf-8")
    say(f"wrote {path}")
