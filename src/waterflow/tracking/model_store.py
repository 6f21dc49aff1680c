"""Logged models: fitted pipelines as verified files in MLflow."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model, infer_signature

import waterflow
from waterflow.errors import StoreError, first_line
from waterflow.provenance.hashing import digest_of, sha256_of
from waterflow.tracking.artifacts import local_folder, walk
from waterflow.tracking.errors import translated
from waterflow.tracking.model_formats import FORMATS, Format, format_of, without_advice, without_package_map
from waterflow.tracking.run_queries import RunQueries, unless_gone
from waterflow.tracking.tags import MODEL_FILES_DIGEST, MODEL_FORMAT, MODEL_PAYLOAD_DIGEST

BYTECODE = "__pycache__"


@dataclass(frozen=True)
class LoggedModel:
    """A model in MLflow, its run and its files' location.

    `digest` is the sha256 of what holds the fitted pipeline, `files_digest` that of all files.
    """

    model_id: str
    run_id: str
    digest: str
    files_digest: str
    location: str


class ModelStore:
    """Logged models on one tracking server."""

    def __init__(self, runs: RunQueries) -> None:
        """Share the connection of `runs`."""
        self._uri, self._client = runs.uri, runs.client

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
        """Log a fitted pipeline.

        It gets a signature, an input example and the given requirements. MLflow's own `log_model` does the same and
        more: it loads the model again to try its example, reads the run's metrics back and, without a run of the fluent
        API, chooses experiment 0.
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
            files_digest = _digest_of_all(folder)
            self._client.set_logged_model_tags(model.model_id, {MODEL_FILES_DIGEST: files_digest})
            with self._finalizing(model.model_id):
                self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
                self._client.log_model_artifacts(model.model_id, str(folder))
        return LoggedModel(model.model_id, run_id, digest, files_digest, model.artifact_location)

    def load_model(self, model_id: str) -> Any:
        """Load the fitted pipeline. Raises StoreError when its files are gone or were altered."""
        with translated(self._uri), tempfile.TemporaryDirectory() as folder:
            kind, path = self._fetch(model_id, Path(folder), f"model {model_id}")
            return kind.load(path)

    def fetch_model(self, model_id: str, folder: Path, name: str) -> Path:
        """Download a model's files. Raises StoreError, with `name`, when they are gone or were altered."""
        with translated(self._uri):
            return self._fetch(model_id, folder, name)[1]

    def verify(self, model_id: str) -> None:
        """Raise StoreError, in a clause, unless all files are unchanged.

        They must match their digest. Raises UnreachableError when the server does not answer.
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

    def find_model(self, model_id: str) -> LoggedModel | None:
        """Return a logged model. None when there is none, or it was deleted."""
        with translated(self._uri):
            model = unless_gone(lambda: self._client.get_logged_model(model_id))
        if model is None:
            return None
        payload, files = (model.tags.get(name, "") for name in (MODEL_PAYLOAD_DIGEST, MODEL_FILES_DIGEST))
        return LoggedModel(model_id, model.source_run_id, payload, files, model.artifact_location)

    def list_files(self, model_id: str) -> dict[str, int]:
        """Return the size in bytes of each file, by path."""
        with translated(self._uri):
            return dict(walk(lambda path: self._client.list_logged_model_artifacts(model_id, path)))

    def has_files(self, model_id: str) -> bool:
        """Return whether a logged model and its file exist. The file itself is not requested."""
        with translated(self._uri):
            model = unless_gone(lambda: self._client.get_logged_model(model_id))
            return model is not None and self._has_file(model_id, _format_in(model.tags))

    def _fetch(self, model_id: str, folder: Path, name: str) -> tuple[Format, Path]:
        tags = self._client.get_logged_model(model_id).tags
        kind, expected = _format_in(tags), tags.get(MODEL_PAYLOAD_DIGEST)
        if not self._has_file(model_id, kind):
            raise StoreError(f"{name}: its files are gone")
        mlflow.set_tracking_uri(self._uri)
        try:
            path = Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=str(folder)))
            for bytecode in list(path.rglob(BYTECODE)):  # of whoever loaded it in place, so nothing vouches for it
                shutil.rmtree(bytecode)
            found = kind.digest(path)
        except (MlflowException, OSError) as error:
            reason = first_line(error) or type(error).__name__
            raise StoreError(f"{name}: its files cannot be fetched ({reason})") from error
        if found != expected:
            raise StoreError(f"{name}: its files are not those that were logged; they were altered")
        return kind, path

    def _has_file(self, model_id: str, kind: Format) -> bool:
        # A server answers a request for a file that its bucket lacks with an error that the client repeats for minutes.
        needed = getattr(kind, "file", "MLmodel")
        entries = self._client.list_logged_model_artifacts(model_id)
        return any(Path(entry.path).name == needed for entry in entries)

    @contextmanager
    def _finalizing(self, model_id: str) -> Iterator[None]:
        """Mark the logged model as READY. After an error it is FAILED."""
        try:
            yield
        except Exception:
            self._client.finalize_logged_model(model_id, LoggedModelStatus.FAILED)
            raise
        self._client.finalize_logged_model(model_id, LoggedModelStatus.READY)


@contextmanager
def _own_code_inside() -> Iterator[None]:
    """Pickle Waterflow's own classes by value. Models then load where it is not installed."""
    cloudpickle.register_pickle_by_value(waterflow)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(waterflow)


def _without_zones(example: pd.DataFrame) -> pd.DataFrame:
    """Return times in UTC without their zone. MLflow's signature has no others, and refuses them at prediction."""
    zoned = example.select_dtypes("datetimetz")
    return example.assign(**{str(name): column.dt.tz_convert(None) for name, column in zoned.items()})


def _digest_of_all(folder: Path) -> str:
    """Hash all files of a model's folder.

    Left out is what MLflow adds to a registered version, and what Python adds when MLflow loads the model in place.
    """
    files = {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "registered_model_meta" and BYTECODE not in path.parts
    }
    return digest_of(files)


def _format_in(tags: Mapping[str, str]) -> Format:
    return FORMATS[tags.get(MODEL_FORMAT, "cloudpickle")]
