"""`waterflow predictions` and `waterflow outcomes`."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from waterflow.cli.console import AsJson, End, Pipeline, Start, print_json, print_table, say, warn

MOST_REFUSED_SHOWN = 20


def predictions(
    pipeline: Pipeline,
    out: Annotated[Path | None, typer.Option("--out", help="A .parquet or .csv file for the rows.")] = None,
    start: Start = None,
    end: End = None,
    as_json: AsJson = False,
) -> None:
    """Read recorded predictions of PIPELINE. Without --start, those of a day."""
    from waterflow import workflow

    resources = workflow.open_for(pipeline)
    window = workflow.manual_window(start, end)
    until = window.end or datetime.now(UTC)
    rows, counts = workflow.read_predictions(pipeline, window.start or until - timedelta(days=1), until, resources, out)
    if as_json:
        print_json([entry._asdict() for entry in counts])
        return
    header = ("version", "arm", "rows", "with outcome", "median ms", "p95 ms")
    print_table(
        header,
        (
            (
                str(entry.version),
                entry.arm,
                f"{entry.rows:,}",
                f"{entry.with_outcome:,}",
                f"{entry.median_ms:.2f}",
                f"{entry.p95_ms:.2f}",
            )
            for entry in counts
        ),
    )
    for worker in resources.prediction_index.list_workers():
        if worker.lost or worker.dropped:
            warn("warning", f"worker {worker.worker}: {worker.lost} rows lost, {worker.dropped} dropped", "yellow")
    if out is not None:
        say(f"wrote {out}: {len(rows):,} rows")


def outcomes(
    pipeline: Pipeline,
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="A .csv, .parquet, .jsonl or .xlsx file, or a SQL query.")
    ],
    url_env: Annotated[
        str | None, typer.Option("--url-env", help="The variable with the database's URL, for a query.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Record outcomes of predictions. Safe to repeat.

    The columns of INPUT are outcome, known_at, and id or key. Exits with 1 where an outcome was refused.
    """
    from waterflow import workflow

    told = workflow.record_outcomes_from(pipeline, source, url_env, workflow.open_for(pipeline))
    if as_json:
        print_json(told.to_json())
    else:
        say(f"recorded    {told.recorded:,}")
        say(f"repeated    {told.repeated:,}")
        say(f"refused     {len(told.refused):,}")
        for entry in told.refused[:MOST_REFUSED_SHOWN]:
            warn("refused", f"row {entry.position} ({entry.reference or 'without id and key'}): {entry.reason}")
    if told.refused:
        raise typer.Exit(1)
