"""MLflow's fluent API, which some of its functions need."""

import os

import mlflow

VARIABLE = "MLFLOW_TRACKING_URI"


def use_tracking_uri(uri: str) -> None:
    """Point the fluent API to a server. The variable of the shell stays as it was.

    MLflow sets it for child processes; the next profile that this process opens would be checked against it.
    """
    before = os.environ.get(VARIABLE)
    mlflow.set_tracking_uri(uri)
    if before is None:
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = before
