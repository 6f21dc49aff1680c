"""What one candidate costs beside its fit: its MLflow run with parameters, metrics, files and model.

    python benchmarks/log_candidate.py [--rounds 9] [--server]

It trains each candidate of iris again and again in one warm process, as a run does from its second candidate
on, and takes the time of fitting and scoring from that of the whole step `train`: what is left is logging, from
opening the run to closing it, and reading the prepared rows. MLflow is a SQLite file, with `--server` also an
`mlflow server` on this machine, whose own CPU shows in the wall clock alone.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

from compare import spread

if TYPE_CHECKING:
    from waterflow.resources import Resources

BIN = Path(sys.executable).parent


def main() -> None:
    """Measure against a file, and against a server if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="measured runs of all candidates, after a warm-up")
    parser.add_argument("--server", action="store_true", help="also over HTTP, to an mlflow server")
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # counts only before scikit-learn is imported
    from waterflow import workflow

    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        os.environ["WATERFLOW_HOME"] = name
        resources = workflow.open_resources()
        report("SQLite file", resources, arguments.rounds)
        if arguments.server:
            with serving(Path(name)) as address:
                report("HTTP server", over_http(resources, address), arguments.rounds)


def report(title: str, resources: "Resources", rounds: int) -> None:
    """Train all candidates several times and print the seconds beside the work."""
    seconds = defaultdict(list)
    for number in range(rounds + 1):
        for candidate, cost in train_all(resources).items():
            if number:
                seconds[candidate].append(cost)
    print(
        f"\n{title}: seconds beside fitting and scoring, {rounds} rounds on {os.cpu_count()} cores; median (least–most)"
    )
    for candidate, costs in seconds.items():
        wall, cpu = zip(*costs, strict=True)
        print(f"  {candidate:<24} wall {spread(list(wall), 3)}   CPU {spread(list(cpu), 3)}", flush=True)


def train_all(resources: "Resources") -> dict[str, tuple[float, float]]:
    """Run prepare and train; returns for each candidate the wall clock and CPU beside fitting and scoring."""
    from waterflow import workflow
    from waterflow.data.window import window_of
    from waterflow.records.run import RunRequest
    from waterflow.training import candidate as training

    window = window_of("manual", None, {}, now=datetime.now(UTC))
    prepared = workflow.prepare(
        RunRequest(pipeline="iris", origin=workflow.origin_of_shell(), window=window), resources
    )
    costs = {}
    for candidate in prepared.candidates:
        work: list[Stopwatch] = []
        with (
            Stopwatch() as whole,
            patch.object(training, "train_candidate", timed(training.train_candidate, work)),  # imported when used
        ):
            workflow.train(prepared, candidate, prepared.origin, resources)
        wall = whole.wall_seconds - sum(taken.wall_seconds for taken in work)
        costs[candidate] = (wall, whole.cpu_seconds - sum(taken.cpu_seconds for taken in work))
    return costs


class Stopwatch:
    """Takes the wall clock and this process's CPU while its block runs."""

    def __enter__(self) -> Self:
        """Start."""
        self.wall_seconds, self.cpu_seconds = -time.perf_counter(), -time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.wall_seconds += time.perf_counter()
        self.cpu_seconds += time.process_time()


def timed(function: Callable[..., Any], taken: list[Stopwatch]) -> Callable[..., Any]:
    """Wrap a function so that each call adds what it took."""

    def call(*arguments: Any) -> Any:
        with Stopwatch() as stopwatch:
            result = function(*arguments)
        taken.append(stopwatch)
        return result

    return call


def over_http(resources: "Resources", address: str) -> "Resources":
    """Give the same tools with MLflow at an address."""
    from waterflow.tracking.runs import RunStore

    profile = resources.profile.model_copy(update={"tracking_uri": address, "artifact_root": None})
    runs = RunStore(profile)
    return replace(resources, profile=profile, runs=runs)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve MLflow from a folder until the block ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(str(BIN / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "served")),
    ]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/health")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_for(url: str, timeout_seconds: float = 120) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + timeout_seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):  # noqa: S310  # our own server
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


if __name__ == "__main__":
    main()
