"""Real DAG runs in processes of their own, on an Airflow and an MLflow that are copied from ready-made ones."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import airflow_environment, copy_metadata
from support.projects import CHECKOUT, copy_database

from waterflow.config.project import Project

Runner = Callable[..., "DagRun"]


@dataclass(frozen=True)
class DagRun:
    """How a DAG run in a process of its own ended."""

    code: int
    out: str
    err: str
    log: str


@pytest.fixture(scope="session")
def run_dag(shared_folder: Path, tracking_template: Path) -> Runner:
    """Return a function that runs a pipeline's real DAG as `make demo` does, on a project of its own."""

    def run(project: Project, pipeline: str = "flowers", conf: dict[str, Any] | None = None) -> DagRun:
        if not (project.home / "mlflow.db").exists():
            copy_database(project, tracking_template)
        if not (project.home / "airflow").exists():
            copy_metadata(project.home, shared_folder)
        command = [sys.executable, str(CHECKOUT / "scripts" / "run_dag.py"), pipeline]
        if conf:
            command += ["--conf", json.dumps(conf)]
        environment = airflow_environment(project.home, project.conf)
        done = subprocess.run(
            command, env=environment, cwd=project.root, capture_output=True, text=True, timeout=280, check=False
        )
        log = project.home / "logs" / f"train_{pipeline}.log"
        return DagRun(done.returncode, done.stdout, done.stderr, log.read_text() if log.is_file() else "")

    return run
