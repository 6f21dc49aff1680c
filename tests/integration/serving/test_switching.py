"""Swaps under load: all workers switch at one moment, and no request fails."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import requests
from support.projects import candidates
from support.serving import ROW, RunningService, kill, running_service, write_clients

from waterflow import workflow
from waterflow.resources import Resources


@dataclass
class Load:
    """Threads that ask a service, one request after the other, and what they were answered."""

    service: RunningService
    answers: list[tuple[float, float, int, int]] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask until stopped. An answer is start, end, status and version."""
        with requests.Session() as session:
            while not self.stopped.is_set():
                start = time.monotonic()
                url = f"{self.service.url}/v1/models/clients/predict"
                done = session.post(url, json={"records": [ROW]}, timeout=30)
                version = done.json().get("version", 0) if done.ok else 0
                self.answers.append((start, time.monotonic(), done.status_code, version))

    def __enter__(self) -> "Load":
        self._threads = [threading.Thread(target=self.ask) for _ in range(4)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture(scope="module")
def both(served: Resources) -> Resources:
    """Register a second version of `clients`, whoever is the better."""
    from support.projects import request_of

    write_clients(served.project, **candidates(nb="sklearn.naive_bayes.GaussianNB"))
    workflow.run_all(request_of("clients", "second"), served, lambda *_: None)
    move_alias(served, 1)
    return served


@pytest.fixture(scope="module")
def running(both: Resources) -> Iterator[RunningService]:
    """Start a service with two workers."""
    with running_service(both.project, "--workers", "2") as service:
        service.wait_until(lambda: service.model()["version"] == 1)
        yield service


def move_alias(resources: Resources, version: int) -> None:
    """Make a version champion by hand."""
    resources.runs.client.set_registered_model_alias("clients", "champion", str(version))


def late_answers(answers: list[tuple[float, float, int, int]], old: int, new: int) -> list[float]:
    """Return how late the old version answered requests that began after one by the new had ended."""
    first = min(end for _, end, _, version in answers if version == new)
    return [start - first for start, _, _, version in answers if version == old and start > first]


def test_no_request_is_answered_by_the_old_version_after_the_new(both: Resources, running: RunningService) -> None:
    """Four swaps, by an alias that is moved by hand: whichever of the two workers a request reaches."""
    versions: list[int] = []
    with Load(running) as load:
        for old, new in ((1, 2), (2, 1), (1, 2), (2, 1)):
            load.answers.clear()
            move_alias(both, new)
            running.wait_until(lambda new=new: load.answers and load.answers[-1][3] == new)  # type: ignore[misc]
            time.sleep(0.5)
            taken = list(load.answers)
            assert {status for _, _, status, _ in taken} == {200}
            assert late_answers(taken, old, new) == []
            versions += [version for _, _, _, version in taken]
            assert running.model()["moved_by_hand"] == (new == 2)  # version 1 is the ledger's
    assert {1, 2} == set(versions)


def test_a_worker_that_starts_during_a_swap_keeps_the_order(both: Resources, running: RunningService) -> None:
    """One of two is killed just after the alias moved; requests to it fail to connect, but none is answered late."""
    with Load(running) as load:
        move_alias(both, 2)
        kill(running.workers()[0])
        running.wait_until(lambda: len(running.workers()) == 3)  # two workers and the sealing process
        running.wait_until(lambda: bool(load.answers) and load.answers[-1][3] == 2)
        time.sleep(1)
    assert late_answers(load.answers, 1, 2) == []
