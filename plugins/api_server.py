"""Registers what Airflow's API server checks beyond Airflow: triggers, and requests of browsers."""

from waterflow.orchestration.api_server import ApiServerPlugin

__all__ = ["ApiServerPlugin"]
