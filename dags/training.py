"""Airflow's DAGs of the pipelines in conf/pipeline: one DAG each."""

from waterflow.orchestration.factory import build_dags

globals().update(build_dags())
