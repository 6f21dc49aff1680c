"""Serving a model in a fresh process. It shares nothing with training."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from waterflow.provenance.own_code import paths_without_own_code
from waterflow.records.base import Record

TIMEOUT_SECONDS = 300


class Served(Record):
    """What the fresh process measured, up to its `error`.

    `predictions` follow the order of the rows, as do `probabilities`, with a column per class, where the model has
    some. `batch_p95_ms` holds the 95th percentile of each batch of single rows, in ms of CPU time on one thread;
    `is_steady` says that the last one can be relied on.
    """

    error: str | None = None
    load_seconds: float | None = None
    inputs: tuple[str, ...] | None = None
    example_rows: int | None = None
    predictions: tuple[Any, ...] | None = None
    classes: tuple[Any, ...] = ()
    probabilities: tuple[list[float], ...] = ()
    batch_p95_ms: tuple[float, ...] = ()
    is_steady: bool = False


class ServingProcess:
    """A fresh process that waits for a model. Starts its imports at once."""

    def __init__(self, folder: Path) -> None:
        """Start it; its files lie in `folder`."""
        self._folder = folder
        command = [sys.executable, "-m", "waterflow.promotion.serving_check", str(folder)]
        # As on a server that lacks the project: a module of the user's own has to come with the model.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths_without_own_code())}
        self._log = (folder / "log").open("wb")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=self._log, stderr=self._log, cwd=folder, env=environment
        )

    def __enter__(self) -> "ServingProcess":
        return self

    def __exit__(self, *_: object) -> None:
        """Kill it if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self._log.close()

    def serve(self, model: Path, rows: pd.DataFrame, budget_ms: float) -> Served:
        """Load the model there and predict. Failures are part of the answer."""
        with (self._folder / "rows.pkl").open("wb") as file:
            pickle.dump(rows, file)
        try:
            request = json.dumps({"model": str(model), "latency_p95_ms": budget_ms})
            self._process.communicate(f"{request}\n".encode(), timeout=TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            return Served(error=f"no answer within {TIMEOUT_SECONDS} s")
        answer = self._folder / "answer.json"
        if not answer.is_file():
            said = (self._folder / "log").read_text("utf-8", errors="replace").strip().splitlines()
            return Served(
                error=f"the process ended with {self._process.returncode}: {said[-1] if said else 'silently'}"
            )
        return Served.from_json(json.loads(answer.read_text("utf-8")))
