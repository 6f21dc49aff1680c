"""reconcile: close MLflow runs whose Airflow task is over.

A step closes its own run as long as its process lives. What a killed machine or scheduler leaves RUNNING is closed
here, from outside.
"""

import logging
from collections.abc import Callable, Mapping

from waterflow.errors import TrackingError, UnreachableError, first_line
from waterflow.resources import Resources
from waterflow.tracking.run_queries import TrackedRun
from waterflow.tracking.tags import CANDIDATE, DAG_ID, DAG_RUN_ID, MAP_INDEX

logger = logging.getLogger(__name__)

TaskStates = Mapping[str, str | None]
OVER = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


def reconcile(resources: Resources, task_states: Callable[[str, str], TaskStates]) -> list[TrackedRun]:
    """Close RUNNING runs of Airflow tasks that are over. Return these runs.

    `task_states(dag_id, run_id)` returns the state of each task instance of a DAG run, a mapped one as `train_0`; it is
    empty when Airflow has no such DAG run any more. A run that cannot be handled is named in the log, and stops no
    other. Raises UnreachableError when MLflow does not answer.
    """
    closed = []
    for run in resources.runs.list_running():
        try:
            status = _close_if_over(run, resources, task_states)
        except UnreachableError:
            raise
        except Exception as error:  # whatever is wrong with one row, of MLflow or of Airflow
            logger.warning(
                "MLflow run %s (%s) is left RUNNING: %s; close or delete it in MLflow",
                run.run_id,
                run.name,
                first_line(error),
            )
            continue
        if status is not None:
            logger.info("closed MLflow run %s (%s) as %s: its task is over", run.run_id, run.name, status)
            closed.append(run)
    return closed


def _close_if_over(run: TrackedRun, resources: Resources, task_states: Callable[[str, str], TaskStates]) -> str | None:
    run_id = run.tags.get(DAG_RUN_ID)
    if not run.dag_id or not run_id:
        missing = DAG_ID if not run.dag_id else DAG_RUN_ID
        raise TrackingError(f"it has no tag {missing}, so its task cannot be looked up")
    status = final_status(run, task_states(run.dag_id, run_id))
    if status is not None:
        resources.runs.close(run.run_id, status, f"closed as {status} by reconcile: its task was over")
    return status


def final_status(run: TrackedRun, states: TaskStates) -> str | None:
    """Return FINISHED, FAILED or KILLED. None while the run may go on.

    A candidate's run belongs to one mapped task; the second fit of a winner and a parent run belong to the whole DAG
    run. A task that succeeded has closed the runs of its fits, so these never become FINISHED here.
    """
    if not states:
        return "KILLED"
    if MAP_INDEX in run.tags:
        state = states.get(f"train_{run.tags[MAP_INDEX]}", "removed")
        return "KILLED" if state in OVER else None
    if any(state not in OVER for state in states.values()):
        return None
    if CANDIDATE in run.tags:
        return "KILLED"
    return "FINISHED" if states.get("promote", states.get("register")) == "success" else "FAILED"
