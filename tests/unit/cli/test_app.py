import subprocess
import sys

import pytest
import typer
from support.promotion import VERDICT

from waterflow.cli.app import app
from waterflow.cli.promotion import suggest_remedy
from waterflow.config.project import Project
from waterflow.errors import Break, merge_breaks

PROGRAM = """
import sys
from waterflow import cli
for line in sys.argv[1:]:
    sys.argv = ["waterflow", *line.split()]
    try:
        cli.main()
    except SystemExit as ended:
        assert not ended.code, (line, ended.code)
    heavy = {"mlflow", "sklearn", "pandas"} & set(sys.modules)
    assert not heavy, (line, heavy)
"""


def commands(group: typer.Typer, path: str) -> list[tuple[str, str]]:
    """Return every command with what stands below its help."""
    found = []
    for entry in group.registered_commands:
        assert entry.callback is not None
        found.append((f"{path} {entry.name or entry.callback.__name__}", str(entry.epilog)))
    for inner in group.registered_groups:
        assert inner.typer_instance is not None
        found += commands(inner.typer_instance, f"{path} {inner.name}")
    return found


@pytest.mark.parametrize(("path", "epilog"), commands(app, "waterflow"))
def test_every_command_has_an_example(path: str, epilog: str) -> None:
    """Below its help, as one types it."""
    assert f"\n\n{path}" in epilog


def test_what_needs_no_mlflow_does_not_import_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Help, version, the ledger and the list of pipelines answer at once."""
    monkeypatch.setenv("WATERFLOW_HOME", str(project.home))
    lines = ("--help", "--version", "run --help", "ledger flowers", "ledger flowers --json")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *lines], cwd=project.root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "waterflow 0." in done.stdout


def test_a_class_that_is_too_rare_may_be_merged_or_dropped() -> None:
    """More rows are not the only way."""
    reason = "too few rows of the rarest class held out: 3, and 8 are needed to decide"
    verdict = VERDICT.model_copy(
        update={"outcome": "insufficient evidence", "difference": None, "excluded_rows": 0, "reason": reason}
    )
    assert "merge it with another class" in suggest_remedy(verdict)
    assert "rows.where" in suggest_remedy(verdict)


def test_breaks_of_a_row_are_one_line() -> None:
    """Values and rules of its columns are joined; whole columns stay apart."""
    breaks = [
        Break("id 3", "age", "-1", "min 0"),
        Break("", "zip", "", "is missing"),
        Break("id 3", "age", "-1", "not null"),
        Break("id 3", "land", "XX", "one of SE, NO"),
        Break("", "city", "", "is missing"),
    ]
    assert merge_breaks(breaks) == [
        Break("id 3", "age; land", "-1; XX", "min 0; not null; one of SE, NO"),
        Break("", "zip", "", "is missing"),
        Break("", "city", "", "is missing"),
    ]


@pytest.mark.parametrize(
    ("excluded", "said"), [(40, "rows that version 1 was not fitted on"), (0, "more held-out rows")]
)
def test_a_verdict_without_comparable_rows_says_what_helps(excluded: int, said: str) -> None:
    """Other rows, or more of them, with the keys that decide how many."""
    verdict = VERDICT.model_copy(
        update={
            "outcome": "insufficient evidence",
            "difference": None,
            "excluded_rows": excluded,
            "against": "version 1",
        }
    )
    assert said in suggest_remedy(verdict)
    assert "split.test_fraction" in suggest_remedy(verdict)
    assert not suggest_remedy(VERDICT)
