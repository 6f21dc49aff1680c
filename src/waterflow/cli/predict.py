"""`waterflow predict` and `score`: the champion predicts many rows."""

from pathlib import Path
from typing import Annotated

import typer

from waterflow.cli.console import End, Pipeline, Start, err, say, warn
from waterflow.records.batch import BatchScored

Predicting = Annotated[str, typer.Argument(metavar="PIPELINE[@VERSION]", help="Such as flights, or flights@3.")]
Input = Annotated[
    str | None,
    typer.Argument(metavar="INPUT", help="A file, glob, s3://… or https://…; by default the pipeline's data set."),
]
Out = Annotated[str, typer.Option("--out", help="A file that ends in .parquet or .csv, also s3://….")]


def predict(pipeline: Predicting, source: Input = None, *, out: Out, start: Start = None, end: End = None) -> None:
    """Predict the rows of INPUT into a file.

    Without INPUT the rows are those of the pipeline's data set.
    """
    from waterflow import workflow
    from waterflow.records.run import Window

    window = workflow.manual_window(start, end) if start or end else Window()
    resources = workflow.open_resources()
    given = source if source is None or "://" in source else str(Path.cwd() / Path(source).expanduser())
    written = out if "://" in out else str(Path.cwd() / Path(out).expanduser())
    with err.status("loading the model") as status:
        scored = workflow.predict_file(
            pipeline, given, written, window, resources, lambda rows: status.update(f"{rows:,} rows")
        )
    print_scored(scored)


def score(pipeline: Pipeline, start: Start = None, end: End = None) -> None:
    """Predict the rows of an interval into the pipeline's sink."""
    from waterflow import workflow

    resources = workflow.open_for(pipeline)
    with err.status("loading the model") as status:
        scored = workflow.score_interval(
            pipeline,
            workflow.manual_window(start, end),
            resources,
            lambda rows: status.update(f"{rows:,} rows"),
        )
    print_scored(scored)


def print_scored(scored: BatchScored) -> None:
    """Print what was written."""
    if scored.breaks:
        warn("contract", f"{scored.breaks} breaks were let through (serving.contract: warn)", "yellow")
    name = f"{scored.pipeline} version {scored.version}"
    if not scored.rows:
        say(f"no rows   {name} had nothing to predict, and nothing was written")
        return
    say(f"predicted  [bold]{scored.rows:,}[/bold] rows by {name} ({scored.path})")
    say(f"written    {scored.output}")
