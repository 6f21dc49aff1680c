"""`waterflow why`: what each step of a run did, and which input made it do so."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from waterflow.cli.console import out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waterflow.workflow import Change, Story

COLOURS = {"ran": "cyan", "cached": "green", "failed": "red"}
MOST_CHANGES = 12
MOST_LETTERS = 40


def why(
    pipeline: str,
    run: Annotated[
        str | None, typer.Option("--run", help="an MLflow or DAG run id; the latest run if left out")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Say for each step of a run of PIPELINE whether it ran or was cached, and which input changed."""
    from waterflow import workflow

    told = workflow.explain_run(pipeline, run, workflow.open_for(pipeline))
    if as_json:
        steps = [story.to_json() for story in told.stories]
        out.print_json(json.dumps({"pipeline": pipeline, "run_id": told.run.run_id, "steps": steps}))
        return
    out.print(f"[bold]{pipeline}[/bold], {told.run} ({escape(told.run.name)})", highlight=False, soft_wrap=True)
    for story in told.stories:
        print_story(story)


def print_story(story: "Story") -> None:
    """Print a step as one line, and a line below it for each reason and each input that changed."""
    name = f"{story.step} {story.candidate}".strip()
    colour = COLOURS.get(story.outcome, "yellow")
    source = ""
    if story.cached_from is not None:
        when = f" of {story.cached_at:%Y-%m-%d %H:%M}" if story.cached_at else ""
        source = f" (from run {story.cached_from[:8]}{when})"
    out.print(f"{escape(name):<32} [{colour}]{story.outcome}[/{colour}]{source}", highlight=False, soft_wrap=True)
    changed = describe_all(story.changes)
    lines = [*story.reasons, *changed[:MOST_CHANGES]]
    if len(changed) > MOST_CHANGES:
        lines.append(f"and {len(changed) - MOST_CHANGES} more; --json lists them all")
    for line in lines:
        out.print(f"    [dim]{escape(line)}[/dim]", highlight=False, soft_wrap=True)


def describe_all(changes: "Sequence[Change]") -> list[str]:
    """Put changes into words; a whole block of settings that is new or gone is one line."""
    blocks = Counter(_block(change) for change in changes)
    told: dict[str, None] = {}
    for change in changes:
        block = _block(change)
        words = f"config {block[0]} is {block[1]}" if block[1] and blocks[block] > 1 else describe(change)
        told[words] = None
    return list(told)


def describe(change: "Change") -> str:
    """Put one input that changed into words: `config candidates.svc.params.C 1.0 → 2.0`."""
    label = change.name if change.kind == "input" else f"{change.kind} {change.name}"
    return f"{label} {_shown(change.before)} → {_shown(change.now)}"


def _block(change: "Change") -> tuple[str, str]:
    state = "new" if change.before is None else "gone" if change.now is None else ""
    name = ".".join(change.name.split(".")[:2])
    return (name, state) if change.kind == "config" and state else (change.name, "")


def _shown(value: str | None) -> str:
    if value is None:
        return "(none)"
    if len(value) == 64 and set(value) <= set("0123456789abcdef"):
        return f"{value[:8]}…"
    return value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…"
