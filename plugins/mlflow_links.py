"""Registers MLflow in Airflow's UI: an item in the navigation and a link on each task's details."""

from waterflow.orchestration.mlflow_links import MLflowPlugin

__all__ = ["MLflowPlugin"]
