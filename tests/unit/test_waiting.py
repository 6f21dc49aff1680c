import logging
import time

import pytest

from waterflow import waiting
from waterflow.waiting import announced


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return the log of waits, with seconds a hundredth as long."""
    monkeypatch.setattr(waiting, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(waiting, "EVERY_SECONDS", 0.2)
    caplog.set_level(logging.INFO, "waterflow.waiting")
    return caplog


def test_a_wait_says_what_for_once_and_then_at_intervals(said: pytest.LogCaptureFixture) -> None:
    """After the first pause, then every so often, and how long it took."""
    with announced("the store"):
        time.sleep(0.6)
    *waits, end = said.messages
    assert 2 <= len(waits) <= 3
    assert all(line.startswith("waiting for the store, for ") for line in waits)
    assert end.startswith("the store took ")


def test_a_short_wait_says_nothing(said: pytest.LogCaptureFixture) -> None:
    """Nearly all of them are."""
    with announced("the store"):
        pass
    assert said.messages == []


def test_a_wait_within_another_is_part_of_it(said: pytest.LogCaptureFixture) -> None:
    """One line tells what is waited for, not one for each layer."""
    with announced("MLflow"), announced("the store"):
        time.sleep(0.1)
    assert {line.split(",")[0] for line in said.messages[:-1]} == {"waiting for MLflow"}
    with announced("the store"):
        time.sleep(0.1)
    assert said.messages[-1].startswith("the store took")


def test_an_error_passes_through(said: pytest.LogCaptureFixture) -> None:
    """And ends the wait."""
    with pytest.raises(ValueError, match="no"), announced("the store"):
        raise ValueError("no")
    assert waiting._inside.awaited is None
