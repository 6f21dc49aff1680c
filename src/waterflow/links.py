"""Addresses of pages in Airflow and MLflow."""

from urllib.parse import quote

from waterflow.config.profile import Profile
from waterflow.records.run import Origin


def run_link(experiment_id: str, run_id: str, profile: Profile) -> str:
    """Return a Markdown link to a run, or its id."""
    page = run_page(experiment_id, run_id, profile)
    return f"[{run_id[:8]}]({page})" if page else f"`{run_id}`"


def run_page(experiment_id: str, run_id: str, profile: Profile, artifact: str | None = None) -> str | None:
    """Return the address of a run in MLflow. Or of one of its artifacts; None where there is none."""
    if profile.mlflow_url is None:
        return None
    place = f"/artifacts/{artifact}" if artifact else ""
    return f"{profile.mlflow_url}/#/experiments/{experiment_id}/runs/{run_id}{place}?workflowType=machine_learning"


def dag_run_url(origin: Origin, profile: Profile) -> str | None:
    """Return the address of the DAG run in Airflow's UI. None where there is none."""
    if profile.airflow_url is None or origin.dag_id is None:
        return None
    return f"{profile.airflow_url}/dags/{origin.dag_id}/runs/{quote(origin.run_id, safe='')}"
