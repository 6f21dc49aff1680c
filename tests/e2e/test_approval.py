"""A person's approval in real DAG runs: a no, no answer, a yes, and a run that has nothing to ask."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import airflow_environment, copy_metadata
from support.projects import CHECKOUT, FLOWERS, copy_database, make_project, write_pipeline

from waterflow import workflow
from waterflow.resources import Resources

ONE = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]


@pytest.fixture(scope="module")
def answered(
    tmp_path_factory: pytest.TempPathFactory, tracking_template: Path, shared_folder: Path
) -> tuple[Resources, list[dict[str, Any]]]:
    """Run the DAG four times, each with another answer."""
    project = make_project(tmp_path_factory.mktemp("approval"))
    copy_database(project, tracking_template)
    copy_metadata(project.home, shared_folder)
    write_pipeline(project, "flowers", {**FLOWERS, "defaults": ONE}, promotion={"approval": "human"})
    script = str(CHECKOUT / "tests" / "e2e" / "answered_dag.py")
    command = [sys.executable, script, "Reject", "nobody", "Approve", "-", "="]
    environment = airflow_environment(project.home, project.conf)
    done = subprocess.run(command, env=environment, cwd=project.root, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr[-3000:] + (project.home / "answered.log").read_text()[-3000:]
    return workflow.open_resources(project), [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"]


def test_every_run_ends_well(answered: tuple[Resources, list[dict[str, Any]]]) -> None:
    """A no is an answer, not a failure; where nothing was to be approved, or nothing was new, nobody was asked."""
    _, runs = answered
    assert [run["run"] for run in runs] == ["success"] * 5
    assert [run["states"]["approve"] for run in runs] == ["success", "success", "success", "skipped", "skipped"]
    assert [run["states"]["promote"] for run in runs] == ["success"] * 5
    assert runs[3]["asked"] == runs[4]["asked"] == {}


def test_the_question_shows_verdict_and_checks(answered: tuple[Resources, list[dict[str, Any]]]) -> None:
    """Enough to decide by, and the way to the run."""
    _, runs = answered
    asked = runs[0]["asked"]
    assert asked["subject"] == "flowers: may version 1 become champion?"
    assert "| f1_macro | 30 |" in asked["body"]
    assert "predictions: 30 rows, at most 0 apart" in asked["body"]
    assert "MLflow run of the challenger" in asked["body"]
    assert asked["waits"]


def test_the_ledger_says_who_answered(answered: tuple[Resources, list[dict[str, Any]]]) -> None:
    """Silence is a no of nobody's."""
    resources, _ = answered
    rows = resources.ledger.entries("flowers")
    assert [(row.kind, row.actor) for row in rows] == [
        ("reject", "ada"),
        ("reject", "nobody (no answer in time)"),
        ("promote", "ada"),
        ("hold", "airflow/train_flowers"),
    ]
    champion = resources.registry.find_alias("flowers", "champion")
    assert champion is not None
    assert champion.version == 3
    first = resources.registry.get_version("flowers", 1)
    assert first is not None
    assert first.aliases == ()
    assert first.tags["waterflow.decision"] == "reject: not approved by ada"
