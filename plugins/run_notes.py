"""Registers the notes of DAG runs."""

from airflow.plugins_manager import AirflowPlugin

from waterflow.orchestration import run_notes


class RunNotesPlugin(AirflowPlugin):
    """Register the listener with the scheduler."""

    name = "waterflow_run_notes"
    listeners = [run_notes]  # noqa: RUF012  # Airflow's own attribute
