"""LightGBM and CatBoost, where their extras are installed, and a line that names the extra where they are not."""

import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest
from support.projects import CHECKOUT, message_of, request_of

from waterflow import workflow
from waterflow.config.estimators import check_candidate
from waterflow.config.schema import CandidateConfig
from waterflow.errors import ConfigError
from waterflow.provenance.environment import model_requirements
from waterflow.resources import Resources

SMALL = {"lightgbm": {"n_estimators": 20}, "catboost": {"iterations": 20}}


@pytest.mark.parametrize("model", ["lightgbm", "catboost"])
def test_its_model_file_trains_and_serves(resources: Resources, pipeline: Callable[..., str], model: str) -> None:
    """The file's parameters and search are valid, and a tuned model passes staging in a fresh process."""
    pytest.importorskip(model)
    name = pipeline(
        defaults=[{"/strategy": "balanced"}, {"/model@candidates": [model]}],
        candidates={model: {"params": SMALL[model]}},
        tuning={"trials": 2},
        promotion={"resamples": 200},
    )
    registered = workflow.run_all(request_of(name), resources)
    winner = registered.evaluated.winner
    assert winner.trials == 2
    assert winner.metrics["accuracy"] > 0.8
    assert registered.checks
    assert all(check.passed for check in registered.checks), registered.checks
    assert f"{model}==" in " ".join(model_requirements(CHECKOUT / "requirements.lock", _path(model)))


@pytest.mark.parametrize("model", ["lightgbm", "catboost"])
def test_without_its_extra_the_line_says_how_to_get_it(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not Python's `No module named`, of which nobody knows what to do."""
    if find_spec(model):
        monkeypatch.setitem(sys.modules, model, None)  # which makes an import fail
    candidate = CandidateConfig(estimator=_path(model))
    message = message_of(lambda: check_candidate(candidate, "classification", "candidates.mine"), ConfigError)
    assert f"it comes with the extra '{model}': `make install-{model}`" in message


def _path(model: str) -> str:
    return {"lightgbm": "lightgbm.LGBMClassifier", "catboost": "catboost.CatBoostClassifier"}[model]
