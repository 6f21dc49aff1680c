"""Housekeeping: every five minutes, MLflow runs whose Airflow task is dead are closed with their true state."""

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, get_current_context, task


@task
def reconcile() -> list[str]:
    """Close what a killed task or scheduler left RUNNING; gives the ids of the runs that were closed."""
    from waterflow import workflow

    instance = get_current_context()["ti"]

    def task_states(dag_id: str, run_id: str) -> dict[str, Any]:
        return dict(instance.get_task_states(dag_id=dag_id, run_ids=[run_id]).get(run_id, {}))

    return [run.run_id for run in workflow.reconcile(workflow.open_resources(), task_states)]


with DAG(
    dag_id="reconcile_mlflow_runs",
    description="Closes MLflow runs whose Airflow task is dead.",
    schedule="*/5 * * * *",
    start_date=pendulum.datetime(2000, 1, 1),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=4),
    tags={"waterflow", "maintenance"},
    default_args={"owner": "waterflow", "retries": 0},
    doc_md=__doc__,
) as reconcile_mlflow_runs:
    reconcile()
