"""The command `waterflow` in the tests' own process, which is much faster than a process for each call."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from waterflow import cli
from waterflow.config.project import Project


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


def command_in(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return the command as a shell in the project's folder would run it."""
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("WATERFLOW_HOME", str(project.home))

    def run(*arguments: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["waterflow", *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run
