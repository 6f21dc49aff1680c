"""Fixtures for every test: a small project, and MLflow on a SQLite file copied from one that is made once."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from support.projects import CHECKOUT, copy_database, make_project

from waterflow.config.mlflow_variables import read_shell_variables
from waterflow.config.project import Project

# Airflow and MLflow read these when they are first imported; nothing here may touch the checkout or a home folder.
_AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="waterflow-tests-airflow-"))
os.environ.update(
    {
        "AIRFLOW_HOME": str(_AIRFLOW_HOME),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "OMP_NUM_THREADS": "1",
        "DVC_SITE_CACHE_DIR": str(_AIRFLOW_HOME / "dvc"),
        "COLUMNS": "300",  # Rich breaks no line of a table
    }
)
for _name in ("WATERFLOW_CONF", "WATERFLOW_HOME", "WATERFLOW_PROFILE", "MLFLOW_TRACKING_URI"):
    os.environ.pop(_name, None)
read_shell_variables()  # before MLflow sets them itself


@pytest.fixture(autouse=True)
def _no_address_of_another_test() -> None:
    """MLflow leaves it in the environment, and a command that a test starts would refuse it."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)


@pytest.fixture(scope="session", autouse=True)
def _leave_nothing() -> Iterator[None]:
    yield
    shutil.rmtree(_AIRFLOW_HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all workers of one test session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def tracking_template(shared_folder: Path) -> Path:
    """Make MLflow's SQLite database, once for all workers: its migrations take seconds."""
    path = shared_folder / "mlflow-template.db"
    with FileLock(f"{path}.lock"):
        if not path.exists():
            from mlflow import MlflowClient

            MlflowClient(f"sqlite:///{path}.partial").search_experiments()
            Path(f"{path}.partial").rename(path)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return a project of its own with the pipeline `flowers`; nothing runs or is written until asked for."""
    return make_project(tmp_path)


@pytest.fixture
def tracked(project: Project, tracking_template: Path) -> Project:
    """Return the project with an MLflow database in place."""
    copy_database(project, tracking_template)
    return project
