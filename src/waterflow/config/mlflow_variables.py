"""The rule for variables of the shell that MLflow reads.

The profile says where runs are kept. A variable that says otherwise, or that names a run or an experiment, is refused:
Waterflow would otherwise ignore it, or MLflow obey it in part. All others, such as credentials and time-outs, hold.
"""

import os
from collections.abc import Mapping
from functools import cache

from waterflow.config.profile import Profile
from waterflow.errors import ConfigError

PLACES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
RUNS = ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_ACTIVE_MODEL_ID")


@cache
def read_shell_variables() -> Mapping[str, str]:
    """Return MLflow's variables as the shell set them. Once it is used, MLflow sets them itself."""
    return {name: os.environ[name] for name in (*PLACES, *RUNS) if name in os.environ}


def check_mlflow_variables(profile: Profile, environment: Mapping[str, str]) -> None:
    """Raise ConfigError for a variable that contradicts the profile."""
    for name in PLACES:
        value = environment.get(name)
        if value and value.rstrip("/") != profile.tracking_uri.rstrip("/"):
            raise ConfigError(
                f"{name}: {value!r} is set, but profile {profile.name} keeps its runs at {profile.tracking_uri}; "
                f"`unset {name}`, or choose a profile that reads it, such as WATERFLOW_PROFILE=stack"
            )
    for name in RUNS:
        if environment.get(name):
            raise ConfigError(
                f"{name}: {environment[name]!r} is set, but a run and its experiment follow from the pipeline; "
                f"`unset {name}`"
            )
