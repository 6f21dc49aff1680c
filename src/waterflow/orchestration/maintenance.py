"""Housekeeping DAGs."""

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from waterflow.orchestration import tasks


def build_reconcile_dag() -> DAG:
    """Build the DAG that closes MLflow runs of dead tasks."""
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
        doc_md="Closes MLflow runs whose Airflow task is dead, with their true state.",
    ) as dag:
        tasks.reconcile()
    return dag
