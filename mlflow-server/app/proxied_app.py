"""MLflow's app with authentication, whose artifacts all pass through the server.

MLflow hands clients addresses of the store, signed for a while, wherever the store can sign them; no setting says no. Here the
store has no name that a browser or a client outside the stack could resolve: the UI's download button leads nowhere, and a
Python client on the host waits for minutes. Told that the store cannot sign, the server sends the bytes itself.
"""

from mlflow.server import handlers
from mlflow.server.auth import create_app

__all__ = ["create_app"]


class _CannotSign:
    """No artifact repository is one of these."""


for capability in ("MultipartDownloadMixin", "MultipartUploadMixin", "PresignedUploadMixin"):
    if not hasattr(handlers, capability):
        raise ImportError(f"mlflow.server.handlers has no {capability} any more; see mlflow-server/app/proxied_app.py")
    setattr(handlers, capability, _CannotSign)
