"""Links to MLflow in Airflow's UI.

`WATERFLOW_MLFLOW_URL` is MLflow's address as a browser reaches it; without it nothing is shown. The links are
resolved in the API server, from the records that the tasks pushed to XCom.
"""

import os
from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin
from airflow.sdk import BaseOperatorLink

DAG_PREFIX = "train_"
# MLflow's UI opens on its pages for language models unless the address asks for those of model training.
TRAINING = "workflowType=machine_learning"


def mlflow_url() -> str:
    """Return MLflow's address without a trailing slash; empty without one."""
    return os.environ.get("WATERFLOW_MLFLOW_URL", "").rstrip("/")


def run_url(experiment_id: str, run_id: str) -> str:
    """Return the address of a run's page."""
    return f"{mlflow_url()}/#/experiments/{experiment_id}/runs/{run_id}?{TRAINING}"


class MLflowRunLink(BaseOperatorLink):
    """Link to the candidate's run, or to the parent run."""

    name = "MLflow run"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address; empty before `prepare` has opened the run."""
        if not mlflow_url() or not ti_key.dag_id.startswith(DAG_PREFIX):
            return ""
        prepared = read_xcom(ti_key, task_id="prepare", key="prepared")
        if not prepared:
            return ""
        trained = None
        if operator.task_id == "train":
            trained = read_xcom(ti_key, task_id="train", key="return_value", map_index=ti_key.map_index)
        run_id = trained["run_id"] if trained else prepared["parent_run_id"]
        return run_url(prepared["experiment_id"], run_id)


def read_xcom(ti_key: Any, *, task_id: str, key: str, map_index: int = -1) -> dict[str, Any] | None:
    """Read one record of the same DAG run from XCom."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    query = XComModel.get_many(
        run_id=ti_key.run_id, key=key, task_ids=task_id, dag_ids=ti_key.dag_id, map_indexes=map_index, limit=1
    )
    with create_session() as session:
        row = session.scalars(query).first()
        return XComModel.deserialize_value(row) if row else None


class MLflowPlugin(AirflowPlugin):
    """Register the link and, with an address, the navigation item."""

    name = "mlflow_links"
    global_operator_extra_links: ClassVar = [MLflowRunLink()]
    external_views: ClassVar = (
        [
            {
                "name": "MLflow",
                "href": f"{mlflow_url()}/#/experiments?{TRAINING}",
                "destination": "nav",
                "nav_top_level": True,
            }
        ]
        if mlflow_url()
        else []
    )
