"""Airflow DAGs of the pipelines; the only package that imports Airflow."""
