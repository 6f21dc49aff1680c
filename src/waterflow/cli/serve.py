"""`waterflow serve`: champions answer requests over HTTP."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from waterflow.cli.console import say


def serve(
    pipelines: Annotated[list[str] | None, typer.Argument(metavar="[PIPELINE]…", help="All, by default.")] = None,
    host: Annotated[str, typer.Option(help="The address to listen on; other than loopback, it needs --tokens.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")] = 1,
    tokens: Annotated[
        Path | None,
        typer.Option(
            envvar="WATERFLOW_SERVING_TOKENS_FILE",
            help="A file with lines `predict TOKEN` or `outcomes TOKEN`. Without it, whoever reaches the port may ask.",
        ),
    ] = None,
    max_body_mb: Annotated[int, typer.Option(min=1, max=1024, help="The largest request.")] = 16,
) -> None:
    """Let champions answer requests over HTTP. A new champion takes over by itself."""
    from waterflow import workflow

    settings = workflow.ServiceSettings(
        pipelines=tuple(pipelines or ()),
        host=host,
        port=port,
        workers=workers,
        tokens_file=str(tokens.resolve()) if tokens else None,
        max_body_bytes=max_body_mb * 2**20,
    )
    logging.getLogger("waterflow.serving").setLevel(logging.INFO)
    say(f"serving     http://{host}:{port}, description at /docs; Ctrl-C stops it")
    workflow.serve(settings)
