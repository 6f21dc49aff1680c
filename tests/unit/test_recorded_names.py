"""The names that runs record, which docs/adr/0014-recorded-entry-points.md promises to keep."""

import ast

import pytest
import yaml
from support.projects import CHECKOUT


@pytest.mark.parametrize(
    "path",
    [
        "waterflow.estimators.bert.estimator.BertClassifier",
        "waterflow.reproduction.worker.main",
        "waterflow.orchestration.bounded_timetable.CronDataIntervalUntil",
        "waterflow.orchestration.mlflow_links.MLflowRunLink",
    ],
)
def test_what_a_run_names_is_still_there(path: str) -> None:
    """A class or function that stored runs or Airflow's database name is defined where they expect it."""
    module, _, name = path.rpartition(".")
    source = (CHECKOUT / "src" / (module.replace(".", "/") + ".py")).read_text("utf-8")
    assert name in [getattr(node, "name", None) for node in ast.parse(source).body]


def test_the_estimator_of_stored_configurations_is_found() -> None:
    """The dotted path that conf/model/bert.yaml writes into configurations can be imported."""
    from waterflow.estimators import bert

    path = yaml.safe_load((CHECKOUT / "conf/model/bert.yaml").read_text("utf-8"))["bert"]["estimator"]
    assert path == f"{bert.__name__}.{bert.BertClassifier.__name__}"
