"""Logged models and the model registry."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import cloudpickle
import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature

import waterflow
from waterflow.errors import StoreError, TrackingError, first_line
from waterflow.provenance.code import digest_of, sha256_of
from waterflow.tracking.errors import translated
from waterflow.tracking.found import unless_gone
from waterflow.tracking.model_formats import FORMATS, Format, format_of, without_advice, without_package_map
from waterflow.tracking.tags import MODEL_FILES_DIGEST, MODEL_FORMAT, MODEL_ID, MODEL_PAYLOAD_DIGEST

CHALLENGER, CHAMPION = "challenger", "champion"


@dataclass(frozen=True)
class LoggedModel:
    """A model in MLflow: its id, and the sha256 of the files that hold the fitted pipeline."""

    model_id: str
    digest: str


@dataclass(frozen=True)
class Version:
    """One registered version, with its aliases and what its run measured on the holdout."""

    model: str
    version: int
    aliases: tuple[str, ...]
    run_id: str
    tags: dict[str, str]


class ModelStore:
    """Models and their registry on one tracking server."""

    def __init__(self, uri: str, client: MlflowClient) -> None:
        """Share the connection of a `RunStore`."""
        self._uri = uri
        self._client = client

    def log_model(
        self,
        pipeline: Any,
        *,
        experiment_id: str,
        run_id: str,
        name: str,
        example: pd.DataFrame,
        requirements: Sequence[str],
        tags: dict[str, str],
    ) -> LoggedModel:
        """Log a fitted pipeline with signature, input example and given requirements.

        `load_model` holds its files against their digest. MLflow's own `log_model` would do the same and more: load
        the model again to try its example, read the run's metrics back, and, without a run of the fluent API,
        choose experiment 0.
        """
        example, quiet = _without_zones(example), without_advice()
        with translated(self._uri), quiet, without_package_map(), tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            description = Model(run_id=run_id)
            kind = format_of(pipeline)
            with _own_code_inside():
                kind.save(
                    pipeline,
                    folder,
                    description,
                    signature=infer_signature(example, pipeline.predict(example)),
                    input_example=example,
                    pip_requirements=list(requirements),
                )
            digest = kind.digest(folder)
            model = self._client.create_logged_model(
                experiment_id,
                name=name,
                source_run_id=run_id,
                tags={**tags, MODEL_PAYLOAD_DIGEST: digest, MODEL_FORMAT: kind.name},
            )
            description.model_id = description.model_uuid = model.model_id
            description.artifact_path = model.artifact_location
            description.save(str(folder / "MLmodel"))
            self._client.set_logged_model_tags(model.model_id, {MODEL_FILES_DIGEST: _digest_of_all(folder)})
            with self._finalizing(model.model_id):
                self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
                self._client.log_model_artifacts(model.model_id, str(folder))
        return LoggedModel(model.model_id, digest)

    def load_model(self, model_id: str) -> Any:
        """Load the fitted pipeline; raises StoreError when its files are gone or are not those that were logged."""
        with translated(self._uri), tempfile.TemporaryDirectory() as folder:
            kind, path = self._fetch(model_id, Path(folder), f"model {model_id}")
            return kind.load(path)

    def fetch_version(self, model: str, version: int, folder: Path) -> Path:
        """Download the files of a version; raises StoreError when they are gone or not those that were logged."""
        with translated(self._uri):
            model_id = self._client.get_model_version(model, str(version)).source.removeprefix("models:/")
            return self._fetch(model_id, folder, f"model {model} version {version}")[1]

    def verify(self, model_id: str) -> None:
        """Hold every file of a logged model against what was logged; raises StoreError, in a clause, where one differs.

        Raises UnreachableError when that cannot be known.
        """
        with translated(self._uri), tempfile.TemporaryDirectory() as folder:
            mlflow.set_tracking_uri(self._uri)
            model = unless_gone(lambda: self._client.get_logged_model(model_id))
            if model is None:
                raise StoreError(f"its model {model_id} is gone")
            path = local_folder(model.artifact_location)
            try:
                if path is None:
                    if not self._has_file(model_id, _format_in(model.tags)):
                        raise StoreError(f"the files of its model {model_id} are gone")
                    path = Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=folder))
                found = _digest_of_all(path)
            except OSError as error:
                raise StoreError(f"the files of its model {model_id} cannot be read ({first_line(error)})") from error
        if model.status != LoggedModelStatus.READY or found != model.tags.get(MODEL_FILES_DIGEST):
            raise StoreError(f"the files of its model {model_id} are not those that were logged")

    def find_by_model(self, model: str, model_id: str) -> Version | None:
        """Give the version that a logged model was registered as; None where it was not, or there is no such model."""
        with translated(self._uri):
            found = self._client.search_model_versions(f"name = '{model}' and tags.`{MODEL_ID}` = '{model_id}'")
        return self.get_version(model, min(int(entry.version) for entry in found)) if found else None

    def has_files(self, model_id: str) -> bool:
        """Say whether a logged model and its file are still there, without asking for the file itself.

        A server asked for a file that its bucket lacks answers with an error that the client repeats for minutes.
        """
        with translated(self._uri):
            model = unless_gone(lambda: self._client.get_logged_model(model_id))
            return model is not None and self._has_file(model_id, _format_in(model.tags))

    def find_version(self, model: str, run_id: str) -> int | None:
        """Give the version that was registered from a run, if there is one."""
        with translated(self._uri):
            found = self._client.search_model_versions(f"name = '{model}' and run_id = '{run_id}'")
        return int(found[0].version) if found else None

    def register(self, model: str, model_id: str, run_id: str, description: str, tags: dict[str, str]) -> int:
        """Make one version of the registered model from a logged model; a second call finds the first's version."""
        existing = self.find_version(model, run_id)
        if existing is not None:
            return existing
        with translated(self._uri):
            mlflow.set_tracking_uri(self._uri)  # the registry looks the logged model up by the fluent API
            try:
                self._client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            version = self._client.create_model_version(
                model,
                source=f"models:/{model_id}",
                run_id=run_id,
                tags=tags,
                description=description,
                model_id=model_id,
            )
        return int(version.version)

    def set_alias(self, model: str, alias: str, version: int) -> None:
        """Point an alias to a version."""
        with translated(self._uri):
            self._client.set_registered_model_alias(model, alias, str(version))

    def remove_alias(self, model: str, alias: str) -> None:
        """Take an alias away; without such an alias nothing changes."""
        with translated(self._uri):
            self._client.delete_registered_model_alias(model, alias)

    def tag_version(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        with translated(self._uri):
            for key, value in tags.items():
                self._client.set_model_version_tag(model, str(version), key, value)

    def get_version(self, model: str, version: int) -> Version | None:
        """Give a version by its number; None when there is none, or when it was deleted."""
        with translated(self._uri):
            entry = unless_gone(lambda: self._client.get_model_version(model, str(version)))
        return None if entry is None else _version(entry, dict.fromkeys(entry.aliases, entry.version))

    def list_models(self) -> list[str]:
        """List the names of the registered models."""
        with translated(self._uri):
            return sorted(entry.name for entry in self._client.search_registered_models())

    def aliases_of(self, model: str, version: int) -> tuple[str, ...]:
        """List the aliases of a version."""
        with translated(self._uri):
            return tuple(sorted(self._client.get_model_version(model, str(version)).aliases))

    def find_alias(self, model: str, alias: str) -> Version | None:
        """Give the version that an alias points to; None without such a model or alias."""
        with translated(self._uri):
            # A server with accounts calls a model that does not exist forbidden; a search leaves it out.
            if not self._client.search_registered_models(f"name = '{model}'"):
                return None
            try:
                entry = self._client.get_model_version_by_alias(model, alias)
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    raise
                return None
        return _version(entry, {alias: entry.version})

    def list_versions(self, model: str) -> list[Version]:
        """List a model's versions, newest first; raises TrackingError when there is no such model."""
        with translated(self._uri):
            registered = unless_gone(lambda: self._client.get_registered_model(model))
            if registered is None:
                raise TrackingError(
                    f"model {model!r} has no version yet; `waterflow run {model}` trains and registers one"
                )
            found = self._client.search_model_versions(f"name = '{model}'")
        versions = [_version(entry, registered.aliases) for entry in found]
        return sorted(versions, key=lambda entry: entry.version, reverse=True)

    def _fetch(self, model_id: str, folder: Path, called: str) -> tuple[Format, Path]:
        """Download a logged model's files into a folder and hold what will be loaded against its digest."""
        tags = self._client.get_logged_model(model_id).tags
        kind, expected = _format_in(tags), tags.get(MODEL_PAYLOAD_DIGEST)
        if not self._has_file(model_id, kind):
            raise StoreError(f"{called}: its files are gone")
        mlflow.set_tracking_uri(self._uri)
        try:
            path = Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=str(folder)))
            found = kind.digest(path)
        except (MlflowException, OSError) as error:
            reason = first_line(error) or type(error).__name__
            raise StoreError(f"{called}: its files cannot be fetched ({reason})") from error
        if found != expected:
            raise StoreError(f"{called}: its files are not those that were logged; they were altered")
        return kind, path

    def _has_file(self, model_id: str, kind: Format) -> bool:
        """Look for the file that is loaded, without asking for it.

        A server asked for a file that its bucket lacks answers with an error that the client repeats for minutes.
        """
        needed = getattr(kind, "file", "MLmodel")
        entries = self._client.list_logged_model_artifacts(model_id)
        return any(Path(entry.path).name == needed for entry in entries)

    @contextmanager
    def _finalizing(self, model_id: str) -> Iterator[None]:
        """Call the logged model READY when its files have arrived, FAILED otherwise."""
        try:
            yield
        except Exception:
            self._client.finalize_logged_model(model_id, LoggedModelStatus.FAILED)
            raise
        self._client.finalize_logged_model(model_id, LoggedModelStatus.READY)


@contextmanager
def _own_code_inside() -> Iterator[None]:
    """Let pickles carry Waterflow's own transformers and estimators, so that models load where it is not installed."""
    cloudpickle.register_pickle_by_value(waterflow)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(waterflow)


def _without_zones(example: pd.DataFrame) -> pd.DataFrame:
    """Give times in UTC without their zone: MLflow's signature knows no others, and refuses those at prediction."""
    zoned = example.select_dtypes("datetimetz")
    return example.assign(**{str(name): column.dt.tz_convert(None) for name, column in zoned.items()})


def local_folder(uri: str) -> Path | None:
    """Give the folder that an address of artifacts is; None where they come through a server."""
    if uri.startswith("file:"):
        return Path(url2pathname(urlsplit(uri).path))
    return None if "://" in uri or ":/" in uri else Path(uri)


def _digest_of_all(folder: Path) -> str:
    """Hash all files of a model's folder; what MLflow adds when it fetches a registered version is left out."""
    files = {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "registered_model_meta"
    }
    return digest_of(files)


def _format_in(tags: Mapping[str, str]) -> Format:
    return FORMATS[tags.get(MODEL_FORMAT, "cloudpickle")]


def _version(entry: ModelVersion, aliases: dict[str, str]) -> Version:
    return Version(
        model=entry.name,
        version=int(entry.version),
        aliases=tuple(sorted(alias for alias, version in aliases.items() if int(version) == int(entry.version))),
        run_id=entry.run_id,
        tags=dict(entry.tags),
    )
