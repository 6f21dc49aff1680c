"""A package of a user's own: trained by its DAG and by the command, and reproduced, each in a process of its own."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import BIN, copy_metadata
from support.own_package import own_pipeline, write_package
from support.projects import copy_database, make_project, write_pipeline
from support.tracing import commit_all

from waterflow.config.project import Project

PACKAGE = "meadow"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path, shared_folder: Path) -> Project:
    """Return a repository with the package and its pipeline."""
    made = make_project(tmp_path_factory.mktemp("package"))
    copy_database(made, tracking_template)
    copy_metadata(made.home, shared_folder)
    write_package(made, PACKAGE)
    write_pipeline(made, PACKAGE, own_pipeline(PACKAGE))
    commit_all(made.root)
    return made


def command(project: Project, *arguments: str) -> str:
    """Run `waterflow` in the project's folder."""
    done = subprocess.run(
        [str(BIN / "waterflow"), *arguments],
        cwd=project.root,
        env=os.environ | {"WATERFLOW_HOME": str(project.home)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_dag_and_command_make_the_same_model(project: Project, run_dag: Callable[..., Any]) -> None:
    """The DAG's tasks find the package without a setting, and the command finds nothing new to fit."""
    answer = run_dag(project, PACKAGE)
    assert answer.code == 0, answer.err + answer.log[-3000:]
    assert f"registered  {PACKAGE} version 1  @challenger @champion" in answer.out
    out = command(project, "run", PACKAGE)
    assert f"unchanged   {PACKAGE} version 1  @challenger @champion" in out


def test_it_is_reproduced_exactly(project: Project) -> None:
    """From the commit, by another process that finds the package in the project's folder."""
    out = command(project, "reproduce", f"{PACKAGE}@champion")
    assert "reproduced exactly" in out
