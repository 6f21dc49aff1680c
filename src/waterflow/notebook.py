"""Loading registered models in a notebook. It takes MLflow's address and a public key."""

import os
from typing import Any

from waterflow.config.profile import Profile
from waterflow.errors import ConfigError, SignatureError
from waterflow.tracking.model_store import ModelStore
from waterflow.tracking.registry import CHAMPION, ModelRegistry
from waterflow.tracking.runs import RunStore


def load_model(
    reference: str, *, tracking_uri: str | None = None, public_keys: str | None = None, trust: bool = False
) -> Any:
    """Load a registered model, by default the champion's.

    `reference` is `MODEL@VERSION` or `MODEL@ALIAS`. Without `tracking_uri`, MLflow is that of `MLFLOW_TRACKING_URI`,
    else of the project in the working directory, whose keys are then trusted. Other public keys come from `public_keys`
    or `WATERFLOW_PUBLIC_KEYS`. With `trust` the model is loaded whoever made it, which runs the code in its files.
    Raises ConfigError without such a version, and SignatureError, with what to do, when no trusted key signed its
    model.
    """
    runs = _connect(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI"), public_keys)
    name, _, wanted = reference.partition("@")
    registry = ModelRegistry(runs)
    found = (
        registry.get_version(name, int(wanted)) if wanted.isdecimal() else registry.find_alias(name, wanted or CHAMPION)
    )
    if found is None:
        raise ConfigError(f"version: MLflow has no {reference!r}; write it like iris@3 or iris@champion")
    try:
        return ModelStore(runs).load_model(found.model_id, name, trust=trust)
    except SignatureError as error:
        raise SignatureError(
            f"{error}. In a notebook pass public_keys=…, or trust=True, which runs code of whoever logged the model"
        ) from error


def _connect(tracking_uri: str | None, public_keys: str | None) -> RunStore:
    keys = public_keys or os.environ.get("WATERFLOW_PUBLIC_KEYS")
    if tracking_uri is not None:
        return RunStore(Profile(name="notebook", tracking_uri=tracking_uri, store_uri="none", public_keys=keys))
    from waterflow.workflow import open_resources

    return open_resources(overrides=[f"profile.public_keys='{keys}'"] if keys else ()).runs
