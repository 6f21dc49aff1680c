"""Airflow DAGs of the pipelines. No other package imports Airflow."""
