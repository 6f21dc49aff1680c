"""Waterflow: a self-hosted training platform on Airflow and MLflow."""
