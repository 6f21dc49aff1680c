"""Airflow's DAGs for housekeeping."""

from waterflow.orchestration.maintenance import build_reconcile_dag

reconcile_mlflow_runs = build_reconcile_dag()
