"""An Airflow home for tests: its SQLite metadata are made once in a test session and copied."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from support.projects import CHECKOUT

BIN = Path(sys.executable).parent


def airflow_environment(home: Path, conf: Path, **more: str) -> dict[str, str]:
    """Point Airflow to a home of its own, to the checkout's DAG file and to a project's `conf/`."""
    settings = {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHECKOUT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(CHECKOUT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "airflow" / "logs"),
        "WATERFLOW_CONF": str(conf),
        "WATERFLOW_HOME": str(home),
    }
    return os.environ | settings | more


def copy_metadata(home: Path, shared: Path) -> None:
    """Copy ready-made Airflow metadata, without any DAG, into a home."""
    template = shared / "airflow-template"
    with FileLock(f"{template}.lock"):
        if not template.exists():
            partial = shared / "airflow-partial"
            partial.mkdir()
            environment = airflow_environment(partial, CHECKOUT / "conf")
            command = [str(BIN / "airflow"), "db", "migrate"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stderr
            partial.rename(template)
    (home / "airflow").mkdir(parents=True, exist_ok=True)
    shutil.copy(template / "airflow" / "airflow.db", home / "airflow")
