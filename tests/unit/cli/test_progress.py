import re
import time

import pytest
from rich.console import Console

from waterflow.cli import console, progress
from waterflow.cli.progress import Progress


def test_a_trial_is_described_with_the_best_so_far() -> None:
    """Step, elapsed time, trial of how many, metric and value."""
    shown = Progress()
    shown.report("train", "svc")
    assert re.fullmatch(r"svc, \d+ s", shown.describe())
    shown.report_trial(3, 20, "f1_macro", 0.81234)
    assert re.fullmatch(r"svc, \d+ s, trial 3 of 20, best f1_macro 0\.8123", shown.describe())
    shown.report("train", "nb")
    assert re.fullmatch(r"nb, \d+ s", shown.describe())


def test_no_value_yet_is_said_by_silence() -> None:
    """The first trials may all have failed."""
    shown = Progress()
    shown.report("train", "svc")
    shown.report_trial(1, 20, "f1_macro", None)
    assert shown.describe().endswith(" s, trial 1 of 20")


def test_a_pipe_gets_lines_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """So that a log shows that the fit goes on."""
    monkeypatch.setattr(progress, "FIRST_SECONDS", 0.01)
    shown, printed, ends = Progress(), "", time.monotonic() + 60
    with shown.running():
        shown.report("train", "svc")
        while "svc, " not in printed and time.monotonic() < ends:
            printed += capsys.readouterr().out
    assert "    train  svc, " in printed


def test_a_terminal_gets_one_changing_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is taken away at the end."""
    terminal = Console(force_terminal=True, width=80, record=True)
    monkeypatch.setattr(progress, "out", terminal)
    monkeypatch.setattr(console, "out", terminal)
    shown = Progress()
    with shown.running():
        shown.report("train", "svc")
        shown.report_trial(2, 20, "mae", 1.5)
        assert " s, trial 2 of 20, best mae 1.5000" in shown._line().plain
