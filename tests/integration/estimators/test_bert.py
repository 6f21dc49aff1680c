"""BERT where its extra is not installed; tests/bert has what it does with it."""

import subprocess
import sys

import pytest
from sklearn.base import clone
from support.projects import candidates, left_behind, message_of, request_of, write_pipeline

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.errors import ConfigError
from waterflow.estimators.bert import BertClassifier


@pytest.fixture(autouse=True)
def _without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide torch and transformers, where a person has installed them."""
    for name in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)


def test_a_pipeline_that_asks_for_bert_says_what_installs_it(tracked: Project) -> None:
    """The run ends before a row is read, with one line."""
    write_pipeline(tracked, "flowers", **candidates(bert="waterflow.estimators.bert.BertClassifier"))
    resources = workflow.open_resources(tracked)
    message = message_of(lambda: workflow.run_all(request_of(), resources), ConfigError)
    assert message.startswith("candidates.bert: torch and transformers not installed; run `make install-bert`")
    assert left_behind(resources) == []


def test_the_other_candidates_of_such_a_pipeline_can_be_chosen(tracked: Project) -> None:
    """What is not asked for need not be installed."""
    listed = candidates(bert="waterflow.estimators.bert.BertClassifier", nb="sklearn.naive_bayes.GaussianNB")
    write_pipeline(tracked, "flowers", **listed)
    registered = workflow.run_all(request_of(candidates=("nb",)), workflow.open_resources(tracked))
    assert registered.evaluated.winner.candidate == "nb"


def test_an_unfitted_estimator_can_be_cloned() -> None:
    """It is a scikit-learn estimator, whose parameters are known without torch."""
    made = BertClassifier("some/model", epochs=3, random_state=4)
    assert clone(made).get_params() == made.get_params()
    assert made.get_params()["epochs"] == 3


def test_importing_it_imports_no_torch() -> None:
    """Each run loads this module, for models are saved by it."""
    program = "import sys, waterflow.estimators.bert; assert not {'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
