"""`waterflow lineage` and `waterflow why`."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.tree import Tree

from waterflow.cli.console import MARKS, AsJson, Pipeline, Reference, out, print_json, say, short_digest, warn
from waterflow.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from waterflow.workflow import InputChange, LineageNode, StepExplanation

COLOURS = {"ran": "cyan", "cached": "green", "failed": "red"}
MOST_CHANGES = 12
MOST_LETTERS = 40


def lineage(reference: Reference, as_json: AsJson = False) -> None:
    """Print the lineage of a version and its broken links."""
    from waterflow import workflow

    found = workflow.trace_lineage(reference, workflow.open_resources())
    broken = workflow.broken_nodes(found)
    if as_json:
        print_json(found.to_json())
    else:
        out.print(tree_of(found))
        count = sum(node.resolves is True for node in workflow.walk_lineage(found))
        say(f"\n{counted(count, 'link')} resolved, {len(broken)} broken; – marks what cannot be checked")
    for node in broken:
        warn("error", f"{node.kind}: {node.reason}")
    if broken:
        raise typer.Exit(1)


def why(
    pipeline: Pipeline,
    run: Annotated[
        str | None, typer.Option("--run", help="An MLflow or DAG run id; the latest run by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Explain which steps ran, which were cached, and why."""
    from waterflow import workflow

    explained = workflow.explain_run(pipeline, run, workflow.open_for(pipeline))
    if as_json:
        steps = [step.to_json() for step in explained.steps]
        print_json({"pipeline": pipeline, "run_id": explained.run.run_id, "steps": steps})
        return
    say(f"[bold]{pipeline}[/bold], {explained.run} ({escape(explained.run.name)})")
    for step in explained.steps:
        print_explanation(step)


def tree_of(node: "LineageNode") -> Tree:
    """Draw a lineage, with short digests."""
    facts = "  ".join(f"[dim]{key}[/dim] {escape(short_digest(value))}" for key, value in node.facts.items())
    reason = f"  [{'red' if node.resolves is False else 'dim'}]({escape(node.reason)})" if node.reason else ""
    tree = Tree(f"{MARKS[node.resolves]} [bold]{node.kind}[/bold]  {escape(short_digest(node.name))}  {facts}{reason}")
    for entry in node.upstream:
        tree.add(tree_of(entry))
    return tree


def print_explanation(step: "StepExplanation") -> None:
    """Print a step, its reasons and the inputs that changed."""
    name = f"{step.step} {step.candidate}".strip()
    colour = COLOURS.get(step.outcome, "yellow")
    source = ""
    if step.cached_from is not None:
        when = f" of {step.cached_at:%Y-%m-%d %H:%M}" if step.cached_at else ""
        source = f" (from run {step.cached_from[:8]}{when})"
    say(f"{escape(name):<32} [{colour}]{step.outcome}[/{colour}]{source}")
    changed = describe_all(step.changes)
    lines = [*step.reasons, *changed[:MOST_CHANGES]]
    if len(changed) > MOST_CHANGES:
        lines.append(f"and {len(changed) - MOST_CHANGES} more; --json lists them all")
    for line in lines:
        say(f"    [dim]{escape(line)}[/dim]")


def describe_all(changes: "Sequence[InputChange]") -> list[str]:
    """Describe changes. A block of settings that is new or gone is one line."""
    blocks = Counter(_block(change) for change in changes)
    lines: dict[str, None] = {}
    for change in changes:
        block = _block(change)
        words = f"config {block[0]} is {block[1]}" if block[1] and blocks[block] > 1 else describe(change)
        lines[words] = None
    return list(lines)


def describe(change: "InputChange") -> str:
    """Describe one change: `config candidates.svc.params.C 1.0 → 2.0`."""
    label = change.name if change.kind == "input" else f"{change.kind} {change.name}"
    return f"{label} {_shown(change.before)} → {_shown(change.now)}"


def _block(change: "InputChange") -> tuple[str, str]:
    state = "new" if change.before is None else "gone" if change.now is None else ""
    name = ".".join(change.name.split(".")[:2])
    return (name, state) if change.kind == "config" and state else (change.name, "")


def _shown(value: str | None) -> str:
    if value is None:
        return "(none)"
    if len(value) == 64 and set(value) <= set("0123456789abcdef"):
        return f"{value[:8]}…"
    return value if len(value) <= MOST_LETTERS else f"{value[:MOST_LETTERS]}…"
