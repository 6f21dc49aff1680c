"""MLflow's app with accounts, as this stack runs it.

- Every request passes `gate`: the account, what it may ask (`routes.txt`), how much it may send.
- `rules` holds values, such as where artifacts may lie.
- Artifacts pass through the server. MLflow hands clients addresses of the store, signed for a while, wherever the store can
  sign them; no setting says no. Here the store has no name that a browser or a client outside the stack could resolve: the
  UI's download button leads nowhere, and a Python client on the host waits for minutes. Told that the store cannot sign, the
  server sends the bytes itself.
- The UI opens on models, not on language models.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import anyio
import mlflow.server
from flask import Flask, Response
from gate import Gate, caller
from mlflow.server import auth, fastapi_app, handlers
from passwords import Passwords
from policy import read_policy
from rules import keep_rules
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

REPLACED = {
    handlers: ("MultipartDownloadMixin", "MultipartUploadMixin", "PresignedUploadMixin"),
    auth: ("_authenticate_cached", "_USER_AUTH_CACHE"),
    fastapi_app: ("_EfficientWSGIResponder",),
}
CHUNKS_AHEAD = 8
# Choices as MLflow's UI keeps them, for who has made none: models rather than language models, no assistant (its routes are
# closed), no dialogue that advertises the registry.
CHOICES = {
    "mlflow.workflowType_v1": '"machine_learning"',
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
    "mlflow.assistant.panelOpen_v1": "false",
    "_mlflow_model_registry_promo_modal_dismissed_v1": "true",
}
CHOOSE = (
    f"<script>Object.entries({json.dumps(CHOICES)}).forEach(([name, value]) => localStorage[name] ??= value)</script>"
)


class _CannotSign:
    """No artifact repository is one of these."""


class _BoundedResponder(fastapi_app._EfficientWSGIResponder):
    """Keeps a few chunks of an answer in memory; MLflow's own keeps the whole file for a client that reads slowly."""

    def __init__(self, app: Any, scope: Any) -> None:
        """See `WSGIResponder`."""
        super().__init__(app, scope)
        assert self.stream_send.statistics().max_buffer_size == math.inf
        self.stream_send, self.stream_receive = anyio.create_memory_object_stream(CHUNKS_AHEAD)


def _verified_by_gate(username: str, password: str) -> Any:
    """Return the account that the gate let in, for MLflow's own check of the same header."""
    user = caller.get()
    return user if user and user.username == username else None


def create_app() -> Gate:
    """Return the app that the web server serves."""
    for module, names in REPLACED.items():
        for name in names:
            if not hasattr(module, name):
                raise ImportError(
                    f"{module.__name__} has no {name} any more; see mlflow-server/app/waterflow_server.py"
                )
    for name in REPLACED[handlers]:
        setattr(handlers, name, _CannotSign)
    auth._USER_AUTH_CACHE = auth._USER_AUTH_CACHE or {}  # without one, MLflow checks by itself
    auth._authenticate_cached = _verified_by_gate
    fastapi_app._EfficientWSGIResponder = _BoundedResponder
    keep_rules()
    app = auth.create_app()
    # Flask would hold a thread for each that reads slowly, and anybody may read these.
    app.router.routes.insert(0, Mount("/static-files", StaticFiles(directory=str(mlflow.server.app.static_folder))))
    open_in_model_view(mlflow.server.app)
    return Gate(app, read_policy(), Passwords(), int(float(os.environ.get("MLFLOW_MAX_UPLOAD_MB", "2000")) * 1e6))


def open_in_model_view(app: Flask) -> None:
    """Let the first page choose the view of model training, for who has not chosen."""
    page = Path(str(app.static_folder), "index.html").read_text("utf-8").replace("</head>", f"{CHOOSE}</head>", 1)
    app.view_functions["serve"] = lambda: Response(page, mimetype="text/html", headers={"cache-control": "no-cache"})
