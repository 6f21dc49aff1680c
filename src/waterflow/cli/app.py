"""The command `waterflow` and its options."""

import gc
import logging
import sys
from importlib import metadata
from typing import Annotated

import typer
from rich.logging import RichHandler
from rich.text import Text

from waterflow.cli import init, lineage, operations, predict, predictions, promotion, reproduce, run, serve
from waterflow.cli.console import err, print_table, warn, widen
from waterflow.cli.data import data_app
from waterflow.cli.examples import add_examples
from waterflow.cli.keys import keys_app
from waterflow.cli.step import step_app
from waterflow.errors import ContractError, merge_breaks
from waterflow.system_errors import explain

COMMANDS = (
    init.init,
    run.run,
    run.pipelines,
    run.show,
    predict.predict,
    predict.score,
    promotion.ledger,
    promotion.champion,
    promotion.rollback,
    lineage.lineage,
    lineage.why,
    reproduce.reproduce,
    serve.serve,
    predictions.predictions,
    predictions.outcomes,
    operations.audit,
    operations.gc,
)

app = typer.Typer(
    help="Run, inspect and operate training pipelines.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(step_app, name="step")
app.add_typer(data_app, name="data")
app.add_typer(keys_app, name="keys")
for command in COMMANDS:
    app.command()(command)
add_examples(app)


def print_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        typer.echo(f"waterflow {metadata.version('waterflow-mlops')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and every log line.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Set up logging."""
    widen()
    logging.basicConfig(
        level=logging.INFO if debug else logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=err, show_path=False, show_time=debug)],
        force=True,
    )
    logging.getLogger("waterflow.waiting").setLevel(logging.INFO)
    for noisy in ("alembic", "mlflow.store.db.utils", "matplotlib"):
        logging.getLogger(noisy).setLevel(logging.INFO if debug else logging.ERROR)


def main() -> None:
    """Run the command. Known errors become one line and exit code 1."""
    # MLflow and scikit-learn make a million lasting objects; scanning them for garbage takes a tenth of a short run.
    gc.set_threshold(100_000, 20, 20)
    try:
        app()
    except Exception as error:
        known = explain(error)
        if known is None or "--debug" in sys.argv:
            raise
        if isinstance(known, ContractError):
            rows = ([Text(value or "–") for value in entry] for entry in merge_breaks(known.breaks))
            print_table(("row", "column", "value", "rule"), rows, console=err)
        warn("error", str(known))
        sys.exit(1)
