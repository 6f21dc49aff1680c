"""One MLflow for a module's tests; each test has a pipeline of its own name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.projects import FLOWERS, copy_database, make_project, name_of, write_pipeline

from waterflow import workflow
from waterflow.resources import Resources


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Resources:
    """Open the stores of an embedded project."""
    project = make_project(tmp_path_factory.mktemp("steps"))
    copy_database(project, tracking_template)
    return workflow.open_resources(project)


@pytest.fixture
def pipeline(resources: Resources, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Write a pipeline named after the test, with one fast candidate; returns its name."""

    def write(**changes: Any) -> str:
        name = name_of(request.node.name)
        one = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]
        write_pipeline(resources.project, name, {**FLOWERS, "defaults": one}, **changes)
        return name

    return write
