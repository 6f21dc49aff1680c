"""The program of the fresh process that `serving_process` starts.

    python -m waterflow.promotion.serving_check FOLDER

Like a server it uses nothing but MLflow's flavour `pyfunc`, whatever the model is made of. It reads a line of JSON from
its input, with the path of a model and the latency budget, and the rows from FOLDER/rows.pkl; it writes
FOLDER/answer.json.
"""

import gc
import json
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from waterflow.errors import first_line

WARM_UP = 3
BATCH = 40
BATCH_SECONDS = 2.0  # of a slow model a batch has fewer predictions
TOTAL_SECONDS = 20.0
STEADY = 1.25  # two batches are steady when their percentiles differ by no more than this factor
THREAD_SETTINGS = ("n_jobs", "nthread", "thread_count")


def main(folder: Path) -> None:
    """Wait for a model's path, serve it, write the answer."""
    gc.disable()  # a short life: nothing is worth collecting, and importing is a tenth faster
    import mlflow.pyfunc  # noqa: F401  # while the parent still fetches the model

    request = json.loads(sys.stdin.readline())
    answer: dict[str, Any] = {}
    try:
        with (folder / "rows.pkl").open("rb") as file:
            rows = pickle.load(file)  # noqa: S301  # the parent wrote it a moment ago
        serve(request["model"], rows, request["latency_p95_ms"], answer)
    except Exception as error:  # a model may raise anything
        reason = str(error).rpartition(" Error: ")[2]  # MLflow prints the rows before it
        answer["error"] = f"{type(error).__name__}: {first_line(reason)}"
    (folder / "answer.json").write_text(json.dumps(answer, default=_plain), "utf-8")


def serve(path: str, rows: pd.DataFrame, budget_ms: float, answer: dict[str, Any]) -> None:
    """Load the model and predict, adding each result to `answer`."""
    from mlflow import pyfunc
    from threadpoolctl import threadpool_limits

    started = time.perf_counter()
    model = pyfunc.load_model(path)
    answer["load_seconds"] = time.perf_counter() - started
    signature = model.metadata.signature
    answer["inputs"] = None if signature is None else signature.inputs.input_names()
    example = model.input_example
    if example is not None:
        answer["example_rows"] = len(model.predict(example))
    answer["predictions"] = list(model.predict(rows))
    inner = model.get_raw_model()
    if hasattr(inner, "predict_proba"):
        answer["classes"] = list(inner.classes_)
        answer["probabilities"] = inner.predict_proba(rows).tolist()
    limit_threads(inner)
    with threadpool_limits(1):
        answer["batch_p95_ms"], answer["is_steady"] = time_single_rows(model, rows, budget_ms)


def limit_threads(model: Any) -> None:
    """Set every estimator inside a model to one thread."""
    settings = model.get_params() if hasattr(model, "get_params") else {}
    many = {name: 1 for name in settings if name.rpartition("__")[2] in THREAD_SETTINGS}
    if many:
        model.set_params(**many)


def time_single_rows(model: Any, rows: pd.DataFrame, budget_ms: float) -> tuple[list[float], bool]:
    """Return the 95th percentile of each batch of single rows.

    In ms of CPU time. Also returns whether it is steady. CPU time, because other programs make a prediction wait, not
    work. They slow it down, too, and never speed it up: a batch within the budget ends the measurement, and otherwise
    two batches in a row that agree.
    """
    began = time.perf_counter()
    for _ in range(WARM_UP):
        model.predict(rows.head(1))
    percentiles: list[float] = []
    while len(percentiles) < 2 or time.perf_counter() - began < TOTAL_SECONDS:  # a slow model is measured, too
        percentiles.append(float(np.percentile(_time_batch(model, rows), 95)))
        if percentiles[-1] <= budget_ms:
            return percentiles, True
        if len(percentiles) > 1 and max(percentiles[-2:]) <= STEADY * min(percentiles[-2:]):
            return percentiles, True
    return percentiles, False


def _time_batch(model: Any, rows: pd.DataFrame) -> list[float]:
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < BATCH and (len(taken) < WARM_UP or time.perf_counter() - began < BATCH_SECONDS):
        row = rows.iloc[[len(taken) % len(rows)]]
        started = time.process_time()
        model.predict(row)
        taken.append((time.process_time() - started) * 1000)
    return taken


def _plain(value: Any) -> Any:
    """Return numpy's numbers and pandas' times as JSON types."""
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # else Python takes a moment to tear down three thousand modules
