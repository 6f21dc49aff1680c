"""From reviews to a registered version of a fine-tuned model, on the embedded profile, with no network."""

import shutil
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow.models import Model
from sklearn.pipeline import Pipeline
from support.projects import (
    CHECKOUT,
    copy_database,
    left_behind,
    make_project,
    message_of,
    predict_elsewhere,
    request_of,
    write_pipeline,
)

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.datasets.loaders import reviews
from waterflow.errors import FitError, StoreError
from waterflow.records.promotion import Registered
from waterflow.records.training import DecisionRule
from waterflow.reproduction.comparison import BERT_TOLERANCE
from waterflow.reproduction.reproduce import reproduce
from waterflow.resources import Resources
from waterflow.training.decision import with_decision

from .conftest import MINILM

Run = tuple[Resources, Registered]

REVIEWS: dict[str, Any] = {
    "defaults": [{"/strategy": "balanced"}, {"/model@candidates": ["bert"]}],
    "dataset": {"kind": "package", "loader": "reviews"},
    "target": "sentiment",
    "task": "classification",
    "features": ["id", "text"],
    "key": ["id"],
    "sample": 0.05,
    "candidates": {
        "bert": {
            "params": {"checkpoint": MINILM, "max_length": 40, "learning_rate": 1e-4},
            "preprocessing": [{"select": {"names": ["text"]}}],
        },
        "majority": {
            "estimator": "sklearn.dummy.DummyClassifier",
            "preprocessing": [{"select": {"names": ["id"]}}],
        },
    },
    "metrics": {"main": "accuracy", "show": ["f1_macro", "log_loss", "roc_auc"]},
    "gate": {"metric": "accuracy", "at_least": 0.6},
}


def project_of(folder: Path, home: Path, tracking_template: Path, **changes: Any) -> Project:
    """Make a project with the fetched reviews, the extra's lock and the pipeline `reviews`."""
    project = make_project(folder)
    copy_database(project, tracking_template)
    shutil.copy(CHECKOUT / "requirements-bert.lock", project.root)
    shutil.copytree(home / "data", project.home / "data")
    write_pipeline(project, "reviews", REVIEWS, **changes)
    return project


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, fetched: Path, tracking_template: Path) -> Run:
    """Prepare, train, evaluate and register once."""
    project = project_of(tmp_path_factory.mktemp("bert"), fetched, tracking_template)
    resources = workflow.open_resources(project)
    return resources, workflow.run_all(request_of("reviews"), resources)


@pytest.fixture(scope="module")
def folder(run: Run) -> Path:
    """Find the folder of the registered model."""
    resources, registered = run
    location = resources.runs.client.get_logged_model(registered.evaluated.challenger.model_id).artifact_location
    return Path(location.removeprefix("file://"))


@pytest.fixture(scope="module")
def unseen(fetched: Path) -> pd.DataFrame:
    """Return the raw columns of forty reviews, one of them without a text."""
    frame = reviews(fetched)[["id", "text"]].tail(40).reset_index(drop=True)
    frame.loc[7, "text"] = None
    return frame


def test_bert_beats_the_majority_on_held_out_reviews(run: Run) -> None:
    """A few hundred reviews are enough for that, and it becomes champion."""
    _, registered = run
    assert registered.evaluated.winner.candidate == "bert"
    assert registered.evaluated.holdout_metrics["accuracy"] > 0.6
    assert registered.evaluated.holdout_metrics["roc_auc"] > 0.65
    assert registered.aliases == ("challenger", "champion")


def test_the_weights_are_safetensors_in_mlflows_own_flavour(folder: Path) -> None:
    """The task and the checkpoint stand in it; no path of this machine does."""
    flavour = Model.load(str(folder)).flavors["transformers"]
    assert flavour["task"] == "text-classification"
    assert flavour["source_model_name"] == MINILM
    assert (folder / "model" / "model.safetensors").stat().st_size > 50e6
    assert not list(folder.rglob("*.bin"))
    assert "site-packages" not in (folder / "MLmodel").read_text()


def test_requirements_come_from_both_locks(folder: Path) -> None:
    """Each line pins what one of them pins."""
    lines = (folder / "requirements.txt").read_text().split()
    locks = "".join((CHECKOUT / f"requirements{part}.lock").read_text() for part in ("", "-bert"))
    assert {line.partition("==")[0] for line in lines} >= {"mlflow", "scikit-learn", "torch", "transformers"}
    assert all(f"\n{line} " in locks for line in lines)


def test_what_waterflow_loads_is_what_was_evaluated(run: Run, folder: Path, unseen: pd.DataFrame) -> None:
    """Two loads agree to the last bit; the estimator has its parameters."""
    resources, registered = run
    first, second = (
        resources.models.load_model(registered.evaluated.challenger.model_id, registered.model) for _ in range(2)
    )
    assert (first.predict_proba(unseen) == second.predict_proba(unseen)).all()
    assert list(first.named_steps) == ["preprocess", "model"]
    assert first[-1].get_params()["max_length"] == 40


def test_the_registered_version_predicts_the_same_in_a_fresh_process(
    run: Run, unseen: pd.DataFrame, tmp_path: Path
) -> None:
    """MLflow alone loads it, by its alias, from raw columns to classes; nothing of Waterflow is needed."""
    resources, registered = run
    expected = resources.models.load_model(registered.evaluated.challenger.model_id, registered.model).predict(unseen)
    assert predict_elsewhere(resources.runs.uri, registered.model, unseen, tmp_path) == expected.tolist()


def test_a_decision_goes_along_with_the_model(run: Run, unseen: pd.DataFrame, tmp_path: Path) -> None:
    """Threshold and calibration hold wherever MLflow loads the model, and when Waterflow loads it again."""
    resources, registered = run
    plain = resources.models.load_model(registered.evaluated.challenger.model_id, registered.model)
    rule = DecisionRule(positive="positive", threshold=0.8, positive_rate=0.5, slope=0.5, intercept=1.0)
    decided = Pipeline([*plain.steps[:-1], ("model", with_decision(plain[-1], rule))])
    run_id = registered.evaluated.winner.run_id
    experiment = resources.runs.client.get_run(run_id).info.experiment_id
    logged = resources.models.log_model(
        decided,
        experiment_id=experiment,
        run_id=run_id,
        name="decided",
        example=unseen.head(3),
        requirements=["mlflow"],
        pipeline_name=registered.model,
        tags={},
    )
    version = resources.registry.register("decided", logged.model_id, run_id, "", {})
    resources.registry.set_alias("decided", "champion", version)
    expected = decided.predict(unseen)
    assert (expected != plain.predict(unseen)).any()
    assert predict_elsewhere(resources.runs.uri, "decided", unseen, tmp_path) == expected.tolist()
    again = resources.models.load_model(logged.model_id, registered.model)
    assert (again.predict_proba(unseen) == decided.predict_proba(unseen)).all()
    assert (again.predict(unseen) == expected).all()


def test_mlflows_transformers_flavour_loads_it_as_a_pipeline(run: Run, folder: Path, unseen: pd.DataFrame) -> None:
    """Its labels are the classes, its scores our probabilities."""
    resources, registered = run
    texts = unseen["text"].dropna().head(5).tolist()
    loaded = mlflow.transformers.load_model(str(folder))
    ours = (
        resources.models.load_model(registered.evaluated.challenger.model_id, registered.model)[-1]
        .predict_proba(texts)
        .max(axis=1)
    )
    answers = loaded(texts, truncation=True, max_length=40)
    assert {answer["label"] for answer in answers} <= {"negative", "positive"}
    assert [answer["score"] for answer in answers] == pytest.approx(ours, abs=1e-4)


@pytest.mark.parametrize("name", ["model/model.safetensors", "steps.pkl", "code/waterflow_text_model.py"])
def test_a_model_that_was_altered_is_not_loaded(run: Run, folder: Path, name: str) -> None:
    """Weights, steps and code are all compared with the digest."""
    resources, registered = run
    model_id = registered.evaluated.challenger.model_id
    path = folder / name
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"\n")
    message = message_of(lambda: resources.models.load_model(model_id, registered.model), StoreError)
    with path.open("r+b") as file:
        file.truncate(size)
    assert "altered" in message
    assert resources.models.load_model(model_id, registered.model) is not None


def test_an_unknown_checkpoint_fails_its_candidate_alone(
    tmp_path: Path, fetched: Path, tracking_template: Path
) -> None:
    """With no other candidate the run ends with one line, and nothing is registered."""
    listed = {"bert": {"params": {"checkpoint": "nobody/has-this-model"}}}
    project = project_of(tmp_path, fetched, tracking_template, candidates=listed)
    resources = workflow.open_resources(project)
    said: list[str] = []
    message = message_of(
        lambda: workflow.run_all(request_of("reviews"), resources, report=lambda step, text: said.append(text)),
        FitError,
    )
    assert "no candidate of reviews could be trained (bert)" in message
    assert any(text.startswith("checkpoint: 'nobody/has-this-model' is neither a folder nor") for text in said)
    assert left_behind(resources) == []


def test_a_fine_tuned_version_is_had_again(run: Run) -> None:
    """Within the tolerance that BERT is granted."""
    resources, registered = run
    version = resources.registry.get_version(registered.model, registered.version)
    assert version is not None
    outcome = reproduce(version, resources)
    assert outcome.reproduced, [line for line in outcome.lines if not line.agrees]
    assert outcome.tolerance == BERT_TOLERANCE
    assert outcome.rows == registered.evaluated.holdout_rows
