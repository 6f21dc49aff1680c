import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline
from support.projects import config_of

from waterflow.promotion import serving_check
from waterflow.promotion.rules import find_failure
from waterflow.promotion.serving_check import limit_threads, time_single_rows
from waterflow.promotion.serving_process import Served, ServingProcess
from waterflow.promotion.staging import check_serving, staging_conditions

CLASSES = pd.DataFrame(
    {
        "challenger": ["a", "b", "a"],
        "challenger_probability_a": [0.9, 0.2, 0.6],
        "challenger_probability_b": [0.1, 0.8, 0.4],
    }
)
NUMBERS = pd.DataFrame({"challenger": [1.0, 2.0, 3.0]})
FINE = Served(
    load_seconds=0.5,
    inputs=("x",),
    example_rows=5,
    predictions=("a", "b", "a"),
    classes=("a", "b"),
    probabilities=([0.9, 0.1], [0.2, 0.8], [0.6, 0.4]),
    batch_p95_ms=(9.0,),
    is_steady=True,
)
CLASSIFICATION = config_of()
REGRESSION = config_of(task="regression", metrics={"main": "rmse"}, promotion={"staging": {"tolerance": 0.01}})


def test_a_model_that_serves_as_it_was_trained_passes() -> None:
    """Each check says what was found and what was asked."""
    checks = check_serving(FINE, CLASSES, 1.5, CLASSIFICATION)
    assert [check.name for check in checks] == [
        "loads",
        "signature",
        "input_example",
        "predictions",
        "latency",
        "size",
    ]
    assert find_failure(checks) is None
    assert checks[3].actual == "3 rows, at most 0 apart"
    assert (checks[5].actual, checks[5].expected) == ("1.5 MB", "at most 500 MB")


@pytest.mark.parametrize(
    ("changes", "size_mb", "reason"),
    [
        ({"inputs": None}, 1.0, "staging check signature: found none"),
        ({"example_rows": None}, 1.0, "staging check input_example: found none"),
        ({"predictions": ("a", "b", "b")}, 1.0, "staging check predictions: found 1 of 3 rows differ"),
        (
            {"probabilities": ([0.9, 0.1], [0.25, 0.75], [0.6, 0.4])},
            1.0,
            "staging check predictions: found 3 rows, at most 0.05 apart, expected as in training, within 1e-09",
        ),
        ({"batch_p95_ms": (990.0, 900.0)}, 1.0, "staging check latency: found p95 900.0 ms of CPU for a single row"),
        ({}, 501.0, "staging check size: found 501 MB, expected at most 500 MB"),
        (
            {"error": "ValueError: no", "predictions": None, "batch_p95_ms": ()},
            1.0,
            "staging check predictions: found ValueError: no",
        ),
    ],
)
def test_what_does_not_hold_is_named(changes: dict[str, object], size_mb: float, reason: str) -> None:
    """The first failure becomes the reason of the rejection."""
    failure = find_failure(check_serving(FINE.model_copy(update=changes), CLASSES, size_mb, CLASSIFICATION))
    assert failure is not None
    assert failure.startswith(reason)


@pytest.mark.parametrize(("served", "passed"), [((1.0, 2.005, 3.0), True), ((1.0, 2.02, 3.0), False)])
def test_numbers_may_differ_within_the_tolerance(served: tuple[float, ...], passed: bool) -> None:
    """What it is stands in the YAML."""
    seen = FINE.model_copy(update={"predictions": served, "classes": (), "probabilities": ()})
    found = {check.name: check.passed for check in check_serving(seen, NUMBERS, 1.0, REGRESSION)}
    assert found["predictions"] is passed


def test_a_number_that_became_none_does_not_pass() -> None:
    """Whatever the tolerance."""
    seen = FINE.model_copy(update={"predictions": (1.0, float("nan"), 3.0), "classes": (), "probabilities": ()})
    found = {check.name: check.passed for check in check_serving(seen, NUMBERS, 1.0, REGRESSION)}
    assert not found["predictions"]


def test_a_model_that_cannot_be_loaded_is_reported_by_its_process(tmp_path: Path) -> None:
    """What it raises there is an answer here."""
    (tmp_path / "work").mkdir()
    with ServingProcess(tmp_path / "work") as process:
        served = process.serve(tmp_path / "nothing", pd.DataFrame({"x": [1.0]}), budget_ms=250)
    assert served.load_seconds is None
    failure = find_failure(check_serving(served, NUMBERS, 1.0, REGRESSION))
    assert failure is not None
    assert failure.startswith("staging check loads: found ")


def test_a_process_that_dies_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a lack of memory; the last that it said is the reason."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (tmp_path / "work").mkdir()
    with ServingProcess(tmp_path / "work") as process:
        served = process.serve(tmp_path, pd.DataFrame({"x": [1.0]}), budget_ms=250)
    assert served.error == "the process ended with 1: silently"


def test_a_machine_too_busy_to_tell_rejects_no_model() -> None:
    """The check says so, and passes."""
    seen = FINE.model_copy(update={"batch_p95_ms": (400.0, 900.0, 300.0), "is_steady": False})
    latency = next(check for check in check_serving(seen, CLASSES, 1.0, CLASSIFICATION) if check.name == "latency")
    assert latency.passed
    assert latency.actual == "p95 300.0 ms of CPU for a single row, unsteady: the machine is too busy to tell"


def test_conditions_of_staging_name_the_budget() -> None:
    """Another budget is a reason to check a version again; the same is none."""
    slower = config_of(promotion={"staging": {"latency_p95_ms": 900}})
    assert staging_conditions(CLASSIFICATION) == staging_conditions(config_of())
    assert staging_conditions(CLASSIFICATION) != staging_conditions(slower)


class Working:
    """A model that keeps a core busy for some milliseconds of CPU time per row."""

    def __init__(self, cpu_ms: float) -> None:
        self.cpu_ms = cpu_ms
        self.rows = 0

    def predict(self, rows: pd.DataFrame) -> None:
        """Work."""
        self.rows += len(rows)
        end = time.process_time() + self.cpu_ms / 1000
        while time.process_time() < end:
            pass


@pytest.mark.parametrize(("budget_ms", "batches"), [(1000.0, 1), (1.0, 2)])
def test_a_measurement_ends_when_it_is_clear(budget_ms: float, batches: int) -> None:
    """Within the budget at once, beyond it when two batches agree."""
    percentiles, is_steady = time_single_rows(Working(3.0), pd.DataFrame({"x": [1.0]}), budget_ms)
    assert is_steady
    assert len(percentiles) >= batches
    assert all(value >= 3.0 for value in percentiles)


def test_a_model_that_takes_all_the_time_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice, so that it can be told from a busy machine."""
    monkeypatch.setattr(serving_check, "TOTAL_SECONDS", 0.0)
    monkeypatch.setattr(serving_check, "BATCH_SECONDS", 0.0)
    percentiles, is_steady = time_single_rows(Working(30.0), pd.DataFrame({"x": [1.0]}), budget_ms=1.0)
    assert (len(percentiles), is_steady) == (2, True)


def test_waiting_for_a_core_is_no_latency_of_a_model() -> None:
    """Busy loops beside it, more than there are cores, leave its CPU time far below the time that passes."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(4 * (os.cpu_count() or 1))]
    try:
        began = time.perf_counter()
        model = Working(10.0)
        percentiles, is_steady = time_single_rows(model, pd.DataFrame({"x": [1.0]}), budget_ms=20.0)
        passed_ms = (time.perf_counter() - began) * 1000
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
    assert is_steady
    assert percentiles[-1] <= 20.0
    assert passed_ms > 2 * 10.0 * model.rows


def test_every_estimator_of_a_model_gets_one_thread() -> None:
    """Wherever in a pipeline it stands."""
    model = Pipeline([("model", RandomForestClassifier(n_jobs=-1))])
    limit_threads(model)
    assert model.get_params()["model__n_jobs"] == 1
