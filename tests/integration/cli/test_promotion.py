import json
import sys

import pytest
from support.commands import Command
from support.projects import FLOWERS, write_pipeline
from support.promotion import VERDICT, entered

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.resources import Resources
from waterflow.steps.promote import promote

ONE = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]


@pytest.fixture
def resources(tracked: Project) -> Resources:
    """Open a project whose pipeline has one fast candidate."""
    write_pipeline(tracked, "flowers", {**FLOWERS, "defaults": ONE})
    return workflow.open_resources(tracked)


def promoted(resources: Resources, count: int) -> None:
    """Make versions 1 to `count` champion."""
    for number in range(1, count + 1):
        verdict = VERDICT.model_copy(update={"champion_version": number - 1 or None})
        promote(*entered("flowers", resources, f"run_{number}", verdict, full=True), resources)


def test_a_ledger_without_rows_is_reported(waterflow: Command) -> None:
    """There is nothing to print, nothing that does not follow, and no champion."""
    answer = waterflow("ledger", "flowers")
    assert (answer.code, answer.out.strip()) == (0, "no decision on flowers yet")
    assert waterflow("ledger", "flowers", "--verify").code == 0
    answer = waterflow("champion", "flowers")
    assert answer.code == 1
    assert answer.err.startswith("error: ledger of flowers: it names no champion")


def test_ledger_champion_and_rollback(waterflow: Command, resources: Resources) -> None:
    """Rows as text and as JSON, the champion of now and of a moment, and the way back, twice."""
    promoted(resources, 2)
    between = resources.ledger.entries("flowers")[0].decided_at.isoformat()
    text = waterflow("ledger", "flowers").out.splitlines()
    assert [line.split()[:4:3] for line in text[::2]] == [["1", "promote"], ["2", "promote"]]
    assert "champion 1 → 2" in text[2]
    assert "f1_macro is better by 0.1" in text[3]
    rows = json.loads(waterflow("ledger", "flowers", "--json").out)
    assert [(row["sequence"], row["to_version"], row["verdict"]["p_value"]) for row in rows] == [
        (1, 1, 0.01),
        (2, 2, 0.01),
    ]
    assert waterflow("champion", "flowers").out.startswith("flowers version 2\n")
    assert waterflow("champion", "flowers", "--at", between).out.startswith("flowers version 1\n")
    assert "names no champion at 2020-01-01" in waterflow("champion", "flowers", "--at", "2020-01-01").err
    back = waterflow("rollback", "flowers", "--reason", "it drifts")
    assert back.code == 0, back.err
    assert "version 1 again, replacing 2" in back.out
    again = waterflow("rollback", "flowers")
    assert again.code == 0
    assert again.out.startswith("nothing to do: flowers version 1 is champion by row 3 (rollback by ")
    assert waterflow("ledger", "flowers", "--verify").out.startswith("ledger of flowers: 3 rows, consistent")


def test_an_alias_moved_by_hand_is_reported(waterflow: Command, resources: Resources) -> None:
    """One line on each thing, and exit code 1."""
    promoted(resources, 2)
    resources.registry.set_alias("flowers", "champion", 1)
    answer = waterflow("ledger", "flowers", "--verify")
    assert answer.code == 1
    assert answer.err.startswith("error: the alias champion is on version 1, but the ledger's champion is version 2")
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("champion", "flowers", "--at", "soon"), "'soon' is not a time"),
        (("rollback", "flowers"), "names no champion yet"),
        (("ledger", "roses"), "'roses' is unknown; valid: flowers"),
        (("champion", "roses"), "'roses' is unknown; valid: flowers"),
        (("rollback", "roses"), "'roses' is unknown; valid: flowers"),
    ],
)
def test_an_error_is_one_line(waterflow: Command, arguments: tuple[str, ...], reason: str) -> None:
    """Exit code 1, no traceback."""
    answer = waterflow(*arguments)
    assert answer.code == 1
    assert len(answer.err.splitlines()) == 1
    assert reason in answer.err


def test_without_a_terminal_nobody_is_asked(waterflow: Command, resources: Resources) -> None:
    """A clear line, no promotion, and the run ends well; with --yes it is approved, by whom the ledger says."""
    write_pipeline(resources.project, "flowers", {**FLOWERS, "defaults": ONE}, promotion={"approval": "human"})
    answer = waterflow("run", "flowers")
    assert answer.code == 0
    assert (
        "not promoted: flowers needs a person's approval, and this is not a terminal; add --yes to approve"
        in answer.err
    )
    assert "decision    hold: nobody is champion" in answer.out
    answer = waterflow("run", "flowers", "--yes")
    assert answer.code == 0
    assert "decision    promote: version 1 is champion" in answer.out
    row = resources.ledger.head("flowers")
    assert row is not None
    assert row.actor.endswith("(--yes)")


@pytest.mark.parametrize(("typed", "kind"), [("y\n", "promote"), ("\n", "reject")], ids=["yes", "enter alone"])
def test_a_terminal_is_asked(
    waterflow: Command, resources: Resources, monkeypatch: pytest.MonkeyPatch, typed: str, kind: str
) -> None:
    """The table is shown first; no is the default."""
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    write_pipeline(resources.project, "flowers", {**FLOWERS, "defaults": ONE}, promotion={"approval": "human"})
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    answer = waterflow("run", "flowers")
    assert answer.code == 0
    assert "flowers: may version 1 become champion? [y/N]" in answer.out
    assert "f1_macro" in answer.out.partition("may version 1")[0]
    assert f"decision    {kind}: " in answer.out
