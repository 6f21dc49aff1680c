"""A file of one's own, one YAML and no Python: the command and the DAG both train on it."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_wine
from support.airflow_home import BIN, copy_metadata
from support.projects import copy_database, make_project

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.tracking.fluent import use_tracking_uri

WINE = """\
defaults:
  - /strategy: balanced
  - /model@candidates: [gaussian_nb, k_neighbors]
description: Which of three cultivars is this wine from?
dataset:
  kind: csv
  path: data/wine.csv
target: cultivar
task: classification
key: [bottle]
metrics:
  main: balanced_accuracy
tuning:
  trials: 3
gate:
  metric: balanced_accuracy
  at_least: 0.7
"""

DIABETES = """\
defaults:
  - /strategy: balanced
  - /model@candidates: [ridge, hist_gradient_boosting_regressor]
description: How far has the disease gone after a year?
dataset:
  kind: parquet
  path: data/diabetes.parquet
target: progression
task: regression
metrics:
  main: rmse
tuning:
  trials: 3
gate:
  metric: r2
  at_least: 0.2
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path, shared_folder: Path) -> Project:
    """Return a project with two files and two YAMLs."""
    made = make_project(tmp_path_factory.mktemp("own"))
    copy_database(made, tracking_template)
    copy_metadata(made.home, shared_folder)
    wine = load_wine(as_frame=True)
    cultivar = wine.target.map(dict(enumerate(["barolo", "grignolino", "barbera"])))
    cellar = ["north" if number % 3 else "south" for number in range(len(cultivar))]
    bottles = wine.data.assign(bottle=range(len(cultivar)), cellar=cellar, cultivar=cultivar)
    bottles.to_csv(made.root / "data" / "wine.csv", index=False)
    patients = load_diabetes(as_frame=True)
    patients.data.assign(progression=patients.target).to_parquet(made.root / "data" / "diabetes.parquet")
    (made.conf / "pipeline" / "wine.yaml").write_text(WINE)
    (made.conf / "pipeline" / "diabetes.yaml").write_text(DIABETES)
    return made


def test_the_command_trains_on_it(project: Project) -> None:
    """`waterflow run` in the project's folder needs nothing else."""
    done = subprocess.run(
        [str(BIN / "waterflow"), "run", "wine"],
        cwd=project.root,
        env=os.environ | {"WATERFLOW_HOME": str(project.home)},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert "registered  wine version 1  @challenger @champion" in done.stdout


@pytest.mark.parametrize(
    ("pipeline", "outcome"),
    [("wine", "unchanged   wine version 1  @challenger @champion"), ("diabetes", "registered  diabetes version 1")],
)
def test_its_dag_trains_on_it(project: Project, run_dag: Callable[..., Any], pipeline: str, outcome: str) -> None:
    """The new DAG is there without a restart or a line of Python, for classes and for numbers."""
    answer = run_dag(project, pipeline)
    assert answer.code == 0, answer.err + answer.log[-3000:]
    assert outcome in answer.out  # of wine the command has made a champion, and the same rows make nothing new


def test_a_regression_has_residuals(project: Project) -> None:
    """The parent run of the regression holds their picture."""
    resources = workflow.open_resources(project)
    champion = resources.registry.find_alias("diabetes", "champion")
    assert champion is not None
    parent = champion.tags["waterflow.parent_run_id"]
    files = [entry.path for entry in resources.runs.client.list_artifacts(parent, "plots")]
    assert sorted(files) == ["plots/candidates.png", "plots/residuals.png"]


def test_a_champion_is_loaded_by_its_alias(project: Project) -> None:
    """What was trained predicts raw columns, words and all."""
    resources = workflow.open_resources(project)
    use_tracking_uri(resources.runs.uri)
    bottles = pd.read_csv(project.root / "data" / "wine.csv")
    model = mlflow.pyfunc.load_model("models:/wine@champion")
    new = bottles.head(3).assign(cellar="west")[model.metadata.signature.inputs.input_names()]
    assert set(model.predict(new)) <= {"barolo", "grignolino", "barbera"}
