"""The plugin of Airflow's API server."""

from typing import Any, ClassVar

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from waterflow.orchestration.browser_security import BrowserSecurity
from waterflow.orchestration.trigger_guard import TriggerGuard


class ApiServerPlugin(AirflowPlugin):
    """Register the middlewares. The last one is the first to see a request."""

    name = "waterflow_api_server"
    fastapi_root_middlewares: ClassVar[list[Any]] = [
        {"name": "trigger guard", "middleware": TriggerGuard},
        {
            "name": "browser security",
            "middleware": BrowserSecurity,
            "kwargs": {"base_url": conf.get("api", "base_url", fallback="")},
        },
    ]
