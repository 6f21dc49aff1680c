"""`waterflow reproduce`: train a version again and compare."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from waterflow.cli.console import MARKS, AsJson, Reference, print_json, print_step, print_table, say, short_digest
from waterflow.plurals import counted

if TYPE_CHECKING:
    from waterflow.workflow import ComparedValue, Reproduction


def reproduce(reference: Reference, as_json: AsJson = False) -> None:
    """Train a version again and compare every prediction."""
    from waterflow import workflow

    report = (lambda text: None) if as_json else partial(print_step, "reproduce")
    outcome = workflow.reproduce_version(reference, workflow.open_resources(), report)
    if as_json:
        print_json(outcome.to_json())
    else:
        print_reproduction(outcome)
    if not outcome.reproduced:
        raise typer.Exit(1)


def print_reproduction(outcome: "Reproduction") -> None:
    """Print the comparison, and the first rows that differ."""
    print_table(("", "compared", "recorded", "again", "difference"), _comparison_rows(outcome))
    if outcome.rows_differing:
        say(f"\n[red]{outcome.rows_differing} of {outcome.rows} held-out rows differ[/red], the first:")
        for row in outcome.first_rows:
            say(f"  row {row['row']}: {escape(differing(row))}")
    tolerance = "exactly" if not outcome.tolerance else f"within {outcome.tolerance:g}"
    word = f"[green]reproduced[/green] {tolerance}" if outcome.reproduced else "[red]not reproduced[/red]"
    if outcome.not_compared:
        word += f", [yellow]{len(outcome.not_compared)} not compared[/yellow]"
    say(f"\n{outcome.model} version {outcome.version} ({outcome.candidate}): {word}")
    say(f"MLflow run  {outcome.run_id}, tagged waterflow.reproduced={str(outcome.reproduced).lower()}")


def differing(row: dict[str, Any]) -> str:
    """Describe how a row differs from its recorded values."""
    apart = []
    for name in (key.removesuffix("_recorded") for key in row if key.endswith("_recorded")):
        then, now = row[f"{name}_recorded"], row.get(f"{name}_again")
        if then != now:
            short = (f"{then:.6g}", f"{now:.6g}") if isinstance(then, float) and isinstance(now, float) else (then, now)
            told = short if short[0] != short[1] else (then, now)
            apart.append(f"{name} {told[0]} → {told[1]}")
    return ", ".join(apart) or "it is on one side only"


def _comparison_rows(outcome: "Reproduction") -> Iterator[tuple[str, ...]]:
    """Yield the table's rows. Parameters and class metrics that agree are counted."""
    shown: list[ComparedValue] = []
    summed = {"parameters": 0, "metrics of single classes": 0}
    for line in outcome.lines:
        if line.agrees and line.what.startswith("parameter "):
            summed["parameters"] += 1
        elif line.agrees and line.what.startswith("metric ") and "." in line.what:
            summed["metrics of single classes"] += 1
        else:
            shown.append(line)
    yield from ((MARKS[True], what, counted(count, "value"), "the same", "") for what, count in summed.items() if count)
    for line in shown:
        apart = "" if line.difference is None else f"{line.difference:.3g}"
        values = (line.what, short_digest(line.recorded), short_digest(line.again))
        yield (MARKS[line.agrees], *map(escape, values), apart)
