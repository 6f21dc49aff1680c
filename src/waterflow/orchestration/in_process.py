"""A pipeline's real DAG in this process, on SQLite."""

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from waterflow.records.promotion import Registered

ROOT = Path(__file__).resolve().parents[3]
# The step that a module's messages belong to, by the module or its package; others keep their own name.
STEP_OF = {
    "data": "prepare",
    "training": "train",
    "estimators": "train",
    "nested_fits": "evaluate",
    "promotion": "evaluate",
    "staging": "staging",
    "duplicates": "register",
    "champion_alias": "promote",
}


def run_in_process(pipeline: str, conf: dict[str, Any]) -> "Registered | None":
    """Run a pipeline's DAG and return what it registered. None when it failed.

    `conf` holds values of the trigger form. The terminal shows the progress of the steps; what Airflow prints goes to
    `.waterflow/logs/train_<pipeline>.log`.
    """
    gc.set_threshold(100_000, 20, 20)  # Airflow and MLflow make two million objects that stay
    home = Path(os.environ.get("WATERFLOW_HOME") or ROOT / ".waterflow").resolve()
    configure_airflow(home)
    log_file = home / "logs" / f"train_{pipeline}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with redirected(log_file) as terminal:
        print(f"  airflow  starting in this process (log: {relative_path(log_file)})", file=terminal, flush=True)
        run, record = run_dag(pipeline, conf, terminal)
    if record is None:
        state = run.state if run else "nothing"
        print(f"error: the DAG run ended as {state}; see {relative_path(log_file)}", file=sys.stderr)
        return None
    from waterflow.records.promotion import Registered

    return Registered.from_json(record)


def configure_airflow(home: Path) -> None:
    """Set Airflow's folders, before it is imported."""
    settings = {
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS": "False",  # `prepare` reads and checks the conf itself
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
    """Run the DAG with `dag.test()`. Return the DAG run and the record of `promote`, or None."""
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
    """Close the MLflow runs that an interruption left RUNNING."""
    from waterflow import workflow

    resources = workflow.open_resources()
    for run in resources.runs.list_running():
        if run.dag_id == dag_id:
            resources.runs.close(run.run_id, "KILLED", "interrupted")


def migrate_metadata(terminal: TextIO) -> None:
    """Create the metadata database and the training pool if needed.

    A note beside the database names the Airflow version that made it: reading the migrations takes a second.
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
    """Limit Airflow's in-process API to its newest version.

    Its client here speaks no other, and building the routes of all versions takes longer than the training.
    """
    from airflow.api_fastapi.execution_api import versions
    from airflow.api_fastapi.execution_api.routes import execution_api_router
    from cadwyn import HeadVersion, Version, VersionBundle
    from cadwyn.route_generation import _DELETED_ROUTE_TAG as OLDER_ONLY

    versions.bundle = VersionBundle(HeadVersion(), Version(versions.bundle.versions[0].value))
    routes = execution_api_router.routes
    routes[:] = [route for route in routes if OLDER_ONLY not in getattr(route, "tags", ())]


def load_dag(pipeline: str) -> Any:
    """Return the pipeline's DAG. Exit when there is none."""
    import runpy

    module = runpy.run_path(str(ROOT / "dags" / "training.py"))
    dags = {name: dag for name, dag in module.items() if name.startswith("train_")}
    if f"train_{pipeline}" not in dags:
        known = ", ".join(name.removeprefix("train_") for name in sorted(dags))
        raise SystemExit(f"error: pipeline: {pipeline!r} is unknown; valid: {known}")
    return dags[f"train_{pipeline}"]


def refuse_question(dag: Any, pipeline: str) -> None:
    """Exit when the DAG would ask a person. Nobody can answer without Airflow's servers."""
    if dag.has_task("approve"):
        raise SystemExit(
            f"error: promotion.approval: 'human' in conf/pipeline/{pipeline}.yaml waits for an answer in Airflow's UI, "
            f"which does not run here; use `waterflow run {pipeline}`, which asks in the terminal, or the stack"
        )


def show_progress(terminal: TextIO) -> None:
    """Copy the log messages of the steps to the terminal."""
    handler = logging.StreamHandler(terminal)
    handler.setFormatter(StepFormatter())
    logger = logging.getLogger("waterflow")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)


class StepFormatter(logging.Formatter):
    """Prefix each message with the step that logs it."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line such as `train  fitting svc`."""
        _, *packages, module = record.name.split(".")
        step = STEP_OF.get(module) or next((STEP_OF[name] for name in packages if name in STEP_OF), module)
        label = step if record.levelno == logging.INFO else record.levelname.lower()
        return f"{label:>9}  {record.getMessage()}"


def read_result(run: Any) -> dict[str, Any] | None:
    """Return the record of `promote`. None when it did not run."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = XComModel.get_many(run_id=run.run_id, key="return_value", task_ids="promote", dag_ids=run.dag_id)
        row = session.scalars(query).first()
        return None if row is None else XComModel.deserialize_value(row)


@contextmanager
def redirected(log_file: Path) -> Iterator[TextIO]:
    """Redirect this process's output to a file; yield the terminal."""
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


def relative_path(path: Path) -> str:
    """Return a path as typed from the project's folder."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
