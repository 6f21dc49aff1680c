import sys
from pathlib import Path

import pandas as pd
import pytest
from support.projects import config_of

from waterflow.promotion.rules import find_failure
from waterflow.promotion.serving_process import Served, ServingProcess
from waterflow.promotion.staging import check_serving

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
    latencies_ms=(5.0,) * 39 + (9.0,),
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
    assert checks[3].found == "3 rows, at most 0 apart"
    assert (checks[5].found, checks[5].asked) == ("1.5 MB", "at most 500 MB")


@pytest.mark.parametrize(
    ("changes", "size_mb", "reason"),
    [
        ({"inputs": None}, 1.0, "staging check signature: found none"),
        ({"example_rows": None}, 1.0, "staging check input_example: found none"),
        ({"predictions": ("a", "b", "b")}, 1.0, "staging check predictions: found 1 of 3 rows differ"),
        (
            {"probabilities": ([0.9, 0.1], [0.25, 0.75], [0.6, 0.4])},
            1.0,
            "staging check predictions: found 3 rows, at most 0.05 apart, asked as in training, within 1e-09",
        ),
        ({"latencies_ms": (5.0,) * 10 + (900.0,) * 10}, 1.0, "staging check latency: found p95 900.0 ms over 20"),
        ({}, 501.0, "staging check size: found 501 MB, asked at most 500 MB"),
        (
            {"error": "ValueError: no", "predictions": None, "latencies_ms": ()},
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


def test_a_model_that_cannot_be_loaded_is_told_by_its_process(tmp_path: Path) -> None:
    """What it raises there is an answer here."""
    (tmp_path / "work").mkdir()
    with ServingProcess(tmp_path / "work") as process:
        served = process.serve(tmp_path / "nothing", pd.DataFrame({"x": [1.0]}))
    assert served.load_seconds is None
    failure = find_failure(check_serving(served, NUMBERS, 1.0, REGRESSION))
    assert failure is not None
    assert failure.startswith("staging check loads: found ")


def test_a_process_that_dies_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a lack of memory; the last that it said is the reason."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (tmp_path / "work").mkdir()
    with ServingProcess(tmp_path / "work") as process:
        served = process.serve(tmp_path, pd.DataFrame({"x": [1.0]}))
    assert served.error == "the process ended with 1: silently"
