"""A service as `waterflow serve` starts it, over a project whose pipeline has every kind of column."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import requests

from support.projects import candidates, free_port, stop, wait_for, write_pipeline, write_rows
from waterflow import workflow
from waterflow.config.project import Project
from waterflow.resources import Resources

ROW = {"age": 41.5, "visits": 3, "member": True, "city": "Bern", "since": "2024-05-01T12:00:00"}


@dataclass
class RunningService:
    """A service that runs, and what it has written."""

    url: str
    port: int
    process: "subprocess.Popen[bytes]"
    folder: Path
    log: Path

    def ask(self, method: str, path: str, **more: Any) -> requests.Response:
        """Send a request."""
        return requests.request(method, self.url + path, timeout=30, **more)

    def predict(self, *rows: dict[str, Any], pipeline: str = "clients") -> requests.Response:
        """Ask for predictions of some rows."""
        return self.ask("POST", f"/v1/models/{pipeline}/predict", json={"records": list(rows) or [ROW]})

    def model(self, pipeline: str = "clients") -> dict[str, Any]:
        """Return a pipeline's line in the list of models."""
        listed = self.ask("GET", "/v1/models").json()["models"]
        return next(entry for entry in listed if entry["name"] == pipeline)

    def children(self) -> list[int]:
        """Return the process ids of the workers, and of the process that seals predictions."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(word) for word in children.read_text("ascii").split()]

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        return [child for child in self.children() if b"waterflow.serving.worker" in _command(child)]

    def wait_until(self, holds: Callable[[], bool], seconds: float = 30) -> float:
        """Wait until something holds; returns how long that took."""
        started = time.monotonic()
        while not holds():
            waited = time.monotonic() - started
            assert self.process.poll() is None, self.log.read_text("utf-8")
            assert waited < seconds, f"not after {seconds} s:\n{self.log.read_text('utf-8')[-3000:]}"
            time.sleep(0.05)
        return time.monotonic() - started


def _command(process_id: int) -> bytes:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes()
    except OSError:  # it has just ended
        return b""


@contextmanager
def running_service(
    project: Project, *words: str, port: int | None = None, **environment: str
) -> Iterator[RunningService]:
    """Start `waterflow serve`, wait until it answers, and stop it in the end."""
    port = port or free_port()
    log = project.home / f"serve-{port}.log"
    command = [str(Path(sys.executable).with_name("waterflow")), "serve", "--port", str(port), *words]
    settings = os.environ | {"WATERFLOW_HOME": str(project.home), "PYTHONUNBUFFERED": "1"} | environment
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=project.root, env=settings, stdout=output, stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/v2/health/live", process)
        yield RunningService(url, port, process, project.home / "serving" / str(port), log)
    finally:
        stop(process)


def kill(process_id: int) -> None:
    """Kill a process that a test's own service started."""
    os.kill(process_id, signal.SIGKILL)


def clients(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Simulate clients that buy or not, with a column of each kind; ages and cities have nulls."""
    generator = np.random.default_rng(seed)
    age, visits = generator.uniform(18, 90, rows).round(1), generator.integers(0, 20, rows)
    member, city = generator.random(rows) < 0.5, generator.choice(["Bern", "Basel", "Genf"], rows)
    signal_of_rows = (age - 50) / 12 + (visits - 10) / 3 + member
    buys = np.where(generator.logistic(size=rows) < signal_of_rows, "yes", "no")
    frame = pd.DataFrame({"age": age, "visits": visits, "member": member, "city": city})
    frame["since"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(generator.integers(0, 400, rows), unit="D")
    frame.loc[generator.random(rows) < 0.1, "age"] = np.nan
    frame.loc[generator.random(rows) < 0.1, "city"] = None
    return frame.assign(buys=buys)


def write_clients(project: Project, name: str = "clients", **changes: Any) -> None:
    """Write the pipeline and its rows."""
    write_rows(project, clients(), "clients.csv")
    settings = {
        "dataset": {"kind": "csv", "path": "data/clients.csv", "dtype": {"since": "datetime"}},
        "target": "buys",
        "positive": "yes",
        "split": {"kind": "hash", "test_fraction": 0.3},
        "metrics": {"main": "roc_auc"},
        "gate": None,
        "decision": 0.3,
        "contract": {
            "columns": {
                "age": {"min": 0, "max": 120},
                "city": {"values": ["Bern", "Basel", "Genf"]},
                "since": {"min": "2020-01-01"},
            }
        },
        **candidates(lr="sklearn.linear_model.LogisticRegression"),
    }
    write_pipeline(project, name, **{**settings, **changes})


def train_champion(resources: Resources, pipeline: str = "clients", run_id: str = "first", **changes: Any) -> int:
    """Run a pipeline; its version is promoted. Returns its number."""
    from support.projects import request_of

    registered = workflow.run_all(request_of(pipeline, run_id, **changes), resources, lambda *_: None)
    assert registered.decision is not None, registered.reason
    assert registered.decision.to_version == registered.version, registered.decision.reason
    return registered.version
