"""The program of the fresh process that `serving_process` starts.

    python -m waterflow.promotion.serving_check FOLDER

Like a server it uses nothing but MLflow's flavour `pyfunc`, whatever the model is made of. It reads the path of a model
from its input and the rows from FOLDER/rows.pkl, and writes FOLDER/answer.json.
"""

import gc
import json
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd

from waterflow.errors import first_line

WARM_UP = 3
TIMED = 40
TIMED_SECONDS = 2.0  # of a slow model fewer predictions are timed


def main(folder: Path) -> None:
    """Wait for the path of a model, serve it, and write the answer."""
    gc.disable()  # a short life: nothing is worth collecting, and importing is a tenth faster
    import mlflow.pyfunc  # noqa: F401  # while the parent still fetches the model

    model = sys.stdin.readline().strip()
    answer: dict[str, Any] = {}
    try:
        with (folder / "rows.pkl").open("rb") as file:
            rows = pickle.load(file)  # noqa: S301  # the parent wrote it a moment ago
        serve(model, rows, answer)
    except Exception as error:  # a model may raise anything
        answer["error"] = f"{type(error).__name__}: {first_line(error)}"
    (folder / "answer.json").write_text(json.dumps(answer, default=_plain), "utf-8")


def serve(path: str, rows: pd.DataFrame, answer: dict[str, Any]) -> None:
    """Load the model and predict, adding each result to `answer`."""
    from mlflow import pyfunc

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
    answer["latencies_ms"] = time_single_rows(model, rows)


def time_single_rows(model: Any, rows: pd.DataFrame) -> list[float]:
    """Return the milliseconds of predictions of single rows."""
    taken: list[float] = []
    began = time.perf_counter()
    for number in range(WARM_UP + TIMED):
        row = rows.iloc[[number % len(rows)]]
        started = time.perf_counter()
        model.predict(row)
        ended = time.perf_counter()
        taken.append((ended - started) * 1000)
        if number >= 2 * WARM_UP and ended - began > TIMED_SECONDS:
            break
    return taken[WARM_UP:]


def _plain(value: Any) -> Any:
    """Return numpy's numbers and pandas' times as JSON types."""
    return value.item() if hasattr(value, "item") else str(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # else Python takes a moment to tear down three thousand modules
