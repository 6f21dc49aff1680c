"""Several versions in use: swaps under load, at one moment for all workers, and a shadow that nobody waits for."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from support.projects import candidates, request_of
from support.serving import ROW, RunningService, kill, running_service, write_clients

from waterflow import workflow
from waterflow.resources import Resources
from waterflow.serving.answering import Answer, AskedRows
from waterflow.serving.model_loading import ServedModel, load_served
from waterflow.serving.reports import WorkerReport
from waterflow.serving.service import Service
from waterflow.serving.shadow import ShadowRunner
from waterflow.serving.state import ServiceState, read_state


@dataclass
class Load:
    """Threads that ask a service, one request after the other, and what they were answered.

    `broken` has what was said of connections that broke off.
    """

    service: RunningService
    answers: list[tuple[float, float, int, int]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask until stopped. An answer is start, end, status and version."""
        with requests.Session() as session:
            while not self.stopped.is_set():
                start = time.monotonic()
                url = f"{self.service.url}/v1/models/clients/predict"
                try:
                    done = session.post(url, json={"records": [ROW]}, timeout=30)
                except requests.ConnectionError as error:
                    self.broken.append(str(error))
                    continue
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
    assert load.broken == []


def test_a_worker_that_starts_during_a_swap_keeps_the_order(both: Resources, running: RunningService) -> None:
    """One of two is killed just after the alias moved; its connections break off, but nothing is answered late."""
    with Load(running) as load:
        move_alias(both, 2)
        killed = running.workers()[0]
        kill(killed)
        running.wait_until(lambda: len(running.workers()) == 2 and killed not in running.workers())
        running.wait_until(lambda: bool(load.answers) and load.answers[-1][3] == 2)
        time.sleep(1)
    assert late_answers(load.answers, 1, 2) == []
    assert len(load.broken) <= 4  # as many as there are connections


@pytest.fixture(scope="module")
def shadowed(both: Resources) -> Resources:
    """Let the second version be the challenger, and the shadow."""
    write_clients(both.project, serving={"shadow": "challenger"})
    both.runs.client.set_registered_model_alias("clients", "challenger", "2")
    move_alias(both, 1)
    return both


def test_both_answers_are_on_record_by_the_same_ids(shadowed: Resources) -> None:
    """The caller sees the champion's alone; the list of models says what the shadow did."""
    with running_service(shadowed.project) as service:
        service.wait_until(lambda: service.model()["shadow"] is not None)
        ids = [entry["id"] for _ in range(5) for entry in service.predict(ROW, ROW).json()["predictions"]]
        service.wait_until(lambda: service.model()["shadow"]["answered"] == 10)
        assert service.model()["shadow"] == {"version": 2, "answered": 10, "dropped": 0, "failed": 0}
        assert service.model()["version"] == 1
    since, until = workflow.manual_window("2020-01-01").start, workflow.manual_window().end
    assert since is not None
    assert until is not None
    rows, summary = workflow.read_predictions("clients", since, until, shadowed)
    assert [(entry.version, entry.arm, entry.rows) for entry in summary if entry.arm == "shadow"] == [(2, "shadow", 10)]
    ours = rows[rows["id"].isin(ids)]
    assert {(row.id, row.arm, row.version) for row in ours.itertuples()} == {
        (name, arm, version) for name in ids for arm, version in (("champion", 1), ("shadow", 2))
    }


@pytest.fixture
def loaded(shadowed: Resources) -> ServedModel:
    """Load the champion as a worker does, from the state of the service before."""
    state = read_state(next((shadowed.project.home / "serving").glob("*/state.json")).parent)
    assert state is not None
    return load_served(state.assignments["clients"], state.keyring)


def test_a_slow_shadow_drops_and_counts(loaded: ServedModel, tmp_path: Path) -> None:
    """Beyond the rows that may wait, answers are not shown to it; the request goes on at once."""
    may_go, seen = threading.Event(), []

    def record(answered: Answer) -> None:
        may_go.wait(20)
        seen.append(answered)

    state = ServiceState(run="run", pipelines=("clients",), assignments={"clients": loaded.assignment})
    service = Service(tmp_path, state, WorkerReport("run", 1))
    service.models["clients"] = service.shadows["clients"] = loaded
    service.observers.append(ShadowRunner(service, record, most_rows=3))
    started = time.monotonic()
    for _ in range(5):
        service.answer(loaded, AskedRows({name: [value] for name, value in ROW.items()}, 1))
    assert time.monotonic() - started < 10
    counts = service.report.shadow_of("clients")
    assert (counts.answered, counts.dropped) == (0, 2)
    may_go.set()
    limit = time.monotonic() + 20
    while counts.answered < 3:
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert len(seen) == 3
