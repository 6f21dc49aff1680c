"""Rules about values, kept where MLflow writes them: whichever route, spelling or encoding a request used, it comes by here."""

import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from mlflow.exceptions import INVALID_PARAMETER_VALUE, MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

# A logged model, or files below this server's root, as its own addresses are written.
SOURCE = re.compile(r"models:/m-[0-9a-f]{32}|mlflow-artifacts:/[0-9]+/[0-9A-Za-z][\w.-]*(/[\w-][\w. -]*)*")

# Each clause of a search is one more join: a hundred of them took Postgres's memory, and all databases with it.
MAX_CLAUSES = 20
AND = re.compile(r"(?<![a-z_])and(?![a-z_])", re.IGNORECASE)
SEARCHES = (
    (TrackingStore, ("_search_experiments", "_search_runs", "search_logged_models")),
    (RegistryStore, ("search_registered_models", "search_model_versions")),
)


def keep_rules() -> None:
    """Put the rules before MLflow's own methods."""
    _before(TrackingStore, "create_experiment", check_experiment)
    _before(RegistryStore, "create_model_version", check_version)
    _before(ArtifactRepository, "download_artifacts", check_is_file)
    for owner, names in SEARCHES:
        for name in names:
            _before(owner, name, partial(check_search, inspect.signature(getattr(owner, name))))


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


def check_search(signature: inspect.Signature, *values: Any, **named: Any) -> None:
    """Raise MlflowException for a search of more clauses than a database joins cheaply."""
    given = signature.bind(*values, **named).arguments
    counts = {name: len(given.get(name) or ()) for name in ("order_by", "datasets")}
    counts["filter"] = len(AND.findall(given.get("filter_string") or "")) + 1
    for name, count in counts.items():
        if count > MAX_CLAUSES:
            raise _invalid(f"{name} has {count} clauses; at most {MAX_CLAUSES} are accepted: search for less at once")


def _before(owner: type, name: str, check: Callable[..., None]) -> None:
    original = getattr(owner, name)

    def checked(self: Any, *values: Any, **named: Any) -> Any:
        check(self, *values, **named)
        return original(self, *values, **named)

    setattr(owner, name, checked)


def _invalid(text: str) -> MlflowException:
    return MlflowException(text, error_code=INVALID_PARAMETER_VALUE)
