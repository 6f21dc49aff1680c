"""Run a pipeline's real DAG in this process, on an Airflow whose metadata lie in SQLite: `make demo`.

    python scripts/run_dag.py iris [--conf '{"strategy": "quick"}']

The terminal shows the progress of the steps and the result; everything that Airflow says goes to a log file.
"""

import argparse
import gc
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run the DAG of the pipeline that is named on the command line; 0 when a model was registered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pipeline")
    parser.add_argument("--conf", type=json.loads, default={}, help="the trigger form's values, as JSON")
    arguments = parser.parse_args()
    gc.set_threshold(100_000, 20, 20)  # Airflow and MLflow make two million objects that stay
    home = Path(os.environ.get("WATERFLOW_HOME") or ROOT / ".waterflow").resolve()
    configure_airflow(home)
    log_file = home / "logs" / f"train_{arguments.pipeline}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with redirected(log_file) as terminal:
        print(f"  airflow  starting in this process (log: {shown(log_file)})", file=terminal, flush=True)
        run, record = run_dag(arguments.pipeline, arguments.conf, terminal)
    if record is None:
        print(
            f"error: the DAG run ended as {run.state if run else 'nothing'}; see {shown(log_file)}",
            file=sys.stderr,
        )
        return 1
    from waterflow.cli.app import print_result
    from waterflow.records import Registered

    print_result(Registered.from_json(record))
    return 0


def configure_airflow(home: Path) -> None:
    """Point Airflow to the project's folders and to a home below `.waterflow/`, before it is imported."""
    settings = {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "airflow" / "logs"),
        "WATERFLOW_HOME": str(home),
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    # Several estimators would each start a thread per core, and hinder one another.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def run_dag(pipeline: str, conf: dict[str, Any], terminal: TextIO) -> tuple[Any, dict[str, Any] | None]:
    """Run the DAG with `dag.test()`; gives the DAG run and the record of `promote`, or None."""
    migrate_metadata(terminal)
    serve_newest_api()
    dag = load_dag(pipeline)
    refuse_question(dag, pipeline)
    show_progress(terminal)
    try:
        run = dag.test(run_conf=conf)
    except BaseException:
        close_runs(dag.dag_id)
        raise
    return run, read_result(run)


def close_runs(dag_id: str) -> None:
    """Close what an interruption left RUNNING in MLflow: this process was all there is of the DAG run."""
    from waterflow import workflow

    resources = workflow.open_resources()
    for run in resources.runs.list_running():
        if run.dag_id == dag_id:
            resources.runs.close(run.run_id, "KILLED", "interrupted")


def migrate_metadata(terminal: TextIO) -> None:
    """Make the SQLite metadata, the first time and after an upgrade, with the pool that the DAGs name.

    A note beside the database says for which Airflow it was made: to find that out from its migrations takes
    Airflow a second.
    """
    from airflow.models.pool import Pool

    database = Path(os.environ["AIRFLOW_HOME"]) / "airflow.db"
    note, made_for = database.with_name("airflow.db.version"), f"apache-airflow {version('apache-airflow')}"
    if not (database.is_file() and note.is_file() and note.read_text("utf-8") == made_for):
        from airflow.utils import db

        try:
            db.check_migrations(0)
        except TimeoutError:
            print("  airflow  making its metadata database (once)", file=terminal, flush=True)
            db.upgradedb()
        note.write_text(made_for, "utf-8")
    Pool.create_or_update_pool("training", slots=2, description="model training", include_deferred=False)


def serve_newest_api() -> None:
    """Let Airflow's in-process API serve its newest version alone, the one that its client here speaks.

    To make the routes of all its versions takes it longer than all the training.
    """
    from airflow.api_fastapi.execution_api import versions
    from airflow.api_fastapi.execution_api.routes import execution_api_router
    from cadwyn import HeadVersion, Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG as OLDER_ONLY

    versions.bundle = VersionBundle(HeadVersion(), Version(versions.bundle.versions[0].value))
    routes = execution_api_router.routes
    routes[:] = [route for route in routes if OLDER_ONLY not in getattr(route, "tags", ())]


def load_dag(pipeline: str) -> Any:
    """Import the DAG file and give the pipeline's DAG; ends the program when there is none."""
    import runpy

    module = runpy.run_path(str(ROOT / "dags" / "training.py"))
    dags = {name: dag for name, dag in module.items() if name.startswith("train_")}
    if f"train_{pipeline}" not in dags:
        known = ", ".join(name.removeprefix("train_") for name in sorted(dags))
        raise SystemExit(f"error: pipeline: {pipeline!r} is unknown; valid: {known}")
    return dags[f"train_{pipeline}"]


def refuse_question(dag: Any, pipeline: str) -> None:
    """End the program when the DAG would ask a person: nobody can answer a DAG run without Airflow's servers."""
    if dag.has_task("approve"):
        raise SystemExit(
            f"error: promotion.approval: 'human' in conf/pipeline/{pipeline}.yaml waits for an answer in Airflow's UI, "
            f"which does not run here; use `waterflow run {pipeline}`, which asks in the terminal, or the stack"
        )


def show_progress(terminal: TextIO) -> None:
    """Copy what the steps say to the terminal."""
    handler = logging.StreamHandler(terminal)
    handler.setFormatter(StepFormatter())
    logger = logging.getLogger("waterflow")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)


class StepFormatter(logging.Formatter):
    """One line per message, with the step's name in front."""

    def format(self, record: logging.LogRecord) -> str:
        """Give `   train  fitting svc on 90 rows`."""
        is_step = ".steps." in record.name and record.levelno == logging.INFO
        step = record.name.rpartition(".")[2] if is_step else record.levelname.lower()
        return f"{step:>9}  {record.getMessage()}"


def read_result(run: Any) -> dict[str, Any] | None:
    """Read what `promote` returned, if it did."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(run_id=run.run_id, key="return_value", task_ids="promote", dag_ids=run.dag_id)
        row = session.scalars(query).first()
        return None if row is None else XComModel.deserialize_value(row)


@contextmanager
def redirected(log_file: Path) -> Iterator[TextIO]:
    """Send this process's output to a file, file descriptors and all, and give what was the terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log_file.open("w") as log, os.fdopen(os.dup(1), "w") as terminal:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield terminal
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for original, descriptor in zip(saved, (1, 2), strict=True):
                os.dup2(original, descriptor)
                os.close(original)


def shown(path: Path) -> str:
    """Give a path as a person in the project's folder would type it."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


if __name__ == "__main__":
    sys.exit(main())
