"""Rules about values, kept where MLflow writes them: whichever route, spelling or encoding a request used, it comes by here."""

import re
from collections.abc import Callable
from typing import Any

from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

# A logged model, or files below this server's root, as its own addresses are written.
SOURCE = re.compile(r"models:/m-[0-9a-f]{32}|mlflow-artifacts:/[0-9]+/[0-9A-Za-z][\w.-]*(/[\w-][\w. -]*)*")


def keep_rules() -> None:
    """Put the rules before MLflow's own methods."""
    _before(TrackingStore, "create_experiment", check_experiment)
    _before(RegistryStore, "create_model_version", check_version)
    _before(ArtifactRepository, "download_artifacts", check_is_file)


def check_experiment(store: TrackingStore, name: str, artifact_location: str | None = None, *_: Any, **__: Any) -> None:
    """Raise MlflowException for a location: the server alone chooses where artifacts lie."""
    if artifact_location:
        raise _invalid(
            f"artifact_location {artifact_location!r} of experiment {name!r} is not accepted: this server chooses where "
            "artifacts are kept; leave it out"
        )


def check_version(
    store: RegistryStore, name: str, source: str, *_: Any, run_link: str | None = None, **__: Any
) -> None:
    """Raise MlflowException for files outside this server's root."""
    if not SOURCE.fullmatch(source or "") or ".." in source:
        raise _invalid(
            f"source {source!r} of a version of {name!r} is not accepted: it must be a logged model (models:/m-…) or an "
            "artifact of this server (mlflow-artifacts:/…)"
        )
    if run_link and not run_link.startswith(("http://", "https://")):
        raise _invalid(f"run_link {run_link!r} is not accepted: it must begin with http:// or https://")


def check_is_file(repository: ArtifactRepository, artifact_path: str, *_: Any, **__: Any) -> None:
    """Raise MlflowException for a folder. Fetched as a whole, one could fill the disk."""
    if not artifact_path or repository._is_directory(artifact_path):
        raise _invalid(f"artifact path {artifact_path!r} is a folder; ask for its files one by one")


def _before(owner: type, name: str, check: Callable[..., None]) -> None:
    original = getattr(owner, name)

    def checked(self: Any, *values: Any, **named: Any) -> Any:
        check(self, *values, **named)
        return original(self, *values, **named)

    setattr(owner, name, checked)


def _invalid(text: str) -> MlflowException:
    return MlflowException(text, error_code=INVALID_PARAMETER_VALUE)
