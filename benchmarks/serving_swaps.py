"""Champions swapped under load: failed requests, late answers, seconds until traffic follows, latency around a swap.

    python benchmarks/serving_swaps.py                             200 swaps, then 50 rollbacks
    python benchmarks/serving_swaps.py --swaps 20 --rollbacks 5    fewer of them

A service with two workers answers four paced clients. Each swap is a row of the ledger, written and projected as
`promote` and `rollback` do once their checks have passed. A second around each swap is compared with a second without.
"""

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import requests

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests")]

from support.projects import candidates, make_project, request_of  # noqa: E402
from support.serving import ROW, RunningService, running_service, train_champion, write_clients  # noqa: E402

from waterflow import workflow  # noqa: E402
from waterflow.promotion.champion_alias import digest_of_model, move_alias  # noqa: E402
from waterflow.resources import Resources  # noqa: E402

CLIENTS = 4
SETTLED_SECONDS = 0.6
QUIET_SECONDS = 1.2
Answered = tuple[float, float, int, int]  # start, end, status, version


class Clients:
    """Threads that ask at a steady pace."""

    def __init__(self, service: RunningService, rate: float) -> None:
        """Prepare to ask `rate` times a second in all."""
        self._url, self._pause = f"{service.url}/v1/models/clients/predict", CLIENTS / rate
        self.answers: list[Answered] = []
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with requests.Session() as session:
            while not self._stopped.wait(self._pause):
                start = time.monotonic()
                try:
                    done = session.post(self._url, json={"records": [ROW]}, timeout=30)
                    status, version = done.status_code, done.json().get("version", 0)
                except requests.RequestException:
                    status, version = 0, 0
                self.answers.append((start, time.monotonic(), status, version))


def swap(resources: Resources, kind: str, target: int) -> float:
    """Write a decision on a version, and let the alias follow. Returns when that was done."""
    version = resources.registry.get_version("clients", target)
    assert version is not None
    resources.ledger.append(
        resources.ledger.head("clients"),
        model="clients",
        kind=kind,  # type: ignore[arg-type]
        version=target,
        to_version=target,
        reason="a swap of the benchmark",
        actor="benchmark",
        model_id=version.model_id,
        model_digest=digest_of_model("clients", version.model_id, resources),
    )
    written = time.monotonic()
    move_alias("clients", resources)
    return written


class Seen:
    """What the clients saw of all swaps. Times are in seconds."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.followed: dict[str, list[float]] = {}
        self.around: list[float] = []
        self.without: list[float] = []
        self.asked = self.failed = self.late = 0

    def add(self, kind: str, versions: tuple[int, int], written: float, quiet: float, answers: list[Answered]) -> None:
        """Add the answers around one swap, from an old to a new version."""
        old, new = versions
        first = min(end for _, end, _, version in answers if version == new)
        self.followed.setdefault(kind, []).append(first - written)
        self.late += sum(version == old and start > first for start, _, _, version in answers)
        self.around += [end - start for start, end, *_ in answers if abs(start - first) < 0.5]
        self.without += [end - start for start, end, *_ in answers if start > quiet + 0.1]
        self.failed += sum(status != 200 for _, _, status, _ in answers)
        self.asked += len(answers)

    def show(self) -> None:
        """Print the sums."""
        for kind, seconds in sorted(self.followed.items()):
            middle, longest = np.median(seconds), max(seconds)
            print(f"{kind:<10} {len(seconds)} times, in traffic after {middle:.2f} s, at most {longest:.2f} s")
        print(f"requests   {self.asked}, {self.failed} failed, {self.late} answered by the old version after the new")
        near, far = (float(np.quantile(times, 0.99)) * 1e3 for times in (self.around, self.without))
        print(f"p99        {near:.0f} ms in the second around a swap, {far:.0f} ms without: ratio {near / far:.2f}")


def measure(resources: Resources, clients: Clients, kinds: list[str], seen: Seen, ends: float) -> None:
    """Swap again and again, until the time is over."""
    old, new = 1, 2
    for kind in kinds:
        if time.monotonic() > ends:
            break
        clients.answers.clear()
        written = swap(resources, kind, new)
        limit = written + 60
        while not any(version == new for *_, version in list(clients.answers)):
            assert time.monotonic() < limit, "the service does not follow"
            time.sleep(0.02)
        time.sleep(SETTLED_SECONDS)
        quiet = time.monotonic()
        time.sleep(QUIET_SECONDS)
        seen.add(kind, (old, new), written, quiet, list(clients.answers))
        old, new = new, old


def main() -> None:
    """Train two versions, serve them, and swap."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swaps", type=int, default=200)
    parser.add_argument("--rollbacks", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=60, help="stop after so long")
    parser.add_argument("--rate", type=float, default=20, help="requests a second")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder))
        os.environ.pop("MLFLOW_TRACKING_URI", None)
        resources = workflow.open_resources(project)
        write_clients(project)
        train_champion(resources)
        write_clients(project, **candidates(nb="sklearn.naive_bayes.GaussianNB"))
        workflow.run_all(request_of("clients", "second"), resources, lambda *_: None)
        if resources.ledger.head("clients").to_version != 1:  # type: ignore[union-attr]
            swap(resources, "promote", 1)
        with running_service(project, "--workers", "2") as service:
            service.wait_until(lambda: service.model()["version"] == 1)
            seen = Seen()
            ends = time.monotonic() + given.minutes * 60
            kinds = ["promote"] * given.swaps + ["rollback"] * given.rollbacks
            with Clients(service, given.rate) as clients:
                measure(resources, clients, kinds, seen, ends)
            seen.show()


if __name__ == "__main__":
    main()
