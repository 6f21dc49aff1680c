"""DAGs built from a small project by the real DAG file."""

import runpy
from collections.abc import Callable
from typing import Any

import pytest
from support.projects import CHECKOUT

from waterflow.config.project import Project


@pytest.fixture
def build(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """Return a function that reads the DAG file as Airflow does, and the DAGs that it makes."""

    def run() -> dict[str, Any]:
        monkeypatch.setenv("WATERFLOW_CONF", str(project.conf))
        from airflow.sdk import DAG

        found = runpy.run_path(str(CHECKOUT / "dags" / "training.py"))
        return {dag.dag_id: dag for dag in found.values() if isinstance(dag, DAG)}

    return run
