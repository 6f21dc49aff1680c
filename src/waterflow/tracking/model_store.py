"""Logged models: fitted pipelines as verified files in MLflow."""

import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import mlflow
import pandas as pd
from mlflow.entities import LoggedModelOutput, LoggedModelStatus
from mlflow.exceptions import MlflowException
from mlflow.models import Model

import waterflow
from waterflow.data.columns import as_served
from waterflow.errors import StoreError, first_line
from waterflow.tracking.artifacts import local_folder, walk
from waterflow.tracking.errors import check_reachable, translated
from waterflow.tracking.fluent import use_tracking_uri
from waterflow.tracking.model_files import (
    TRAINED_TYPES,
    SignedFiles,
    digest_of_files,
    model_statement,
    remove_unsigned,
)
from waterflow.tracking.model_formats import FORMATS, Format, format_of, without_advice, without_package_map
from waterflow.tracking.model_signature import signature_of, trained_types
from waterflow.tracking.run_queries import RunQueries, unless_gone
from waterflow.tracking.tags import MODEL_FILES_DIGEST, MODEL_SIGNATURE, PIPELINE


@dataclass(frozen=True)
class LoggedModel:
    """A model in MLflow, its run and its files' location. `files_digest` is the sha256 of all files.

    A model that was looked up says what its tags say, which nobody vouches for: `ModelStore` verifies what it loads.
    """

    model_id: str
    run_id: str
    files_digest: str
    location: str


class ModelStore:
    """Logged models on one tracking server.

    The one place that loads models. Loading runs code of their files, so nothing is fetched unless a trusted key signed
    the digest of its files for this pipeline, and nothing is loaded unless the copy that was fetched has that digest.
    """

    def __init__(self, runs: RunQueries) -> None:
        """Share the connection and the keys of `runs`."""
        self._uri, self._client, self._runs = runs.uri, runs.client, runs

    def log_model(
        self,
        pipeline: Any,
        *,
        experiment_id: str,
        run_id: str,
        name: str,
        pipeline_name: str,
        example: pd.DataFrame,
        requirements: Sequence[str],
        tags: dict[str, str],
        modules: Iterable[str] = (),
        whole: Collection[str] = (),
    ) -> LoggedModel:
        """Log a fitted pipeline, and sign it. Raises SignatureError without a key.

        It gets a signature, an input example and the given requirements. Classes of `modules`, which are the user's
        own, are pickled by value as Waterflow's are, so that the model loads without them; for `whole` see
        `signature_of`. MLflow's own `log_model` does the same and more: it loads the model again to try its example,
        reads the run's metrics back and, without a run of the fluent API, chooses experiment 0.
        """
        example, quiet = as_served(example), without_advice()
        with translated(self._uri), quiet, without_package_map(), tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "model"
            description = Model(run_id=run_id, metadata={TRAINED_TYPES: trained_types(example)})
            kind = format_of(pipeline)
            with _own_code_inside(modules):
                kind.save(
                    pipeline,
                    folder,
                    description,
                    signature=signature_of(
                        example,
                        pipeline.predict(example),
                        whole=whole,
                        has_probabilities=hasattr(pipeline, "predict_proba"),
                    ),
                    input_example=example,
                    pip_requirements=list(requirements),
                )
            model = self._client.create_logged_model(
                experiment_id,
                name=name,
                source_run_id=run_id,
                tags={**tags, PIPELINE: pipeline_name},
            )
            description.model_id = description.model_uuid = model.model_id
            description.artifact_path = model.artifact_location
            description.save(str(folder / "MLmodel"))
            digest = digest_of_files(folder)
            signature = self._runs.keyring.sign(model_statement(pipeline_name, model.model_id, digest))
            signed = {MODEL_FILES_DIGEST: digest, MODEL_SIGNATURE: signature}
            self._client.set_logged_model_tags(model.model_id, signed)
            with self._finalizing(model.model_id):
                self._client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
                self._client.log_model_artifacts(model.model_id, str(folder))
        return LoggedModel(model.model_id, run_id, digest, model.artifact_location)

    def load_model(self, model_id: str, pipeline_name: str, *, trust: bool = False) -> Any:
        """Load the fitted pipeline.

        Raises SignatureError when nobody trusted signed it for this pipeline, StoreError when its files are gone or
        were altered, UnreachableError when the server does not answer. With `trust` any model is loaded, which runs
        whatever code its author put into it.
        """
        with translated(self._uri), tempfile.TemporaryDirectory() as folder:
            path = self._fetch(model_id, pipeline_name, Path(folder), trust=trust)
            return _format_in(path).load(path)

    def fetch_model(self, model_id: str, pipeline_name: str, folder: Path) -> Path:
        """Download and verify a model's files. Raises what `load_model` raises."""
        with translated(self._uri):
            return self._fetch(model_id, pipeline_name, folder)

    def fetch_signed(self, model_id: str, pipeline_name: str, folder: Path) -> SignedFiles:
        """Download a model's files with their signature. Raises what `load_model` raises."""
        path = self.fetch_model(model_id, pipeline_name, folder)
        with translated(self._uri):
            model = self._get(model_id)
            digest = self._check_signature(model, pipeline_name)
        return SignedFiles(path, pipeline_name, model_id, digest, str(model.tags[MODEL_SIGNATURE]))

    def verify(self, model_id: str, pipeline_name: str) -> None:
        """Raise StoreError unless all files are unchanged.

        They must have the digest that was signed. Raises UnreachableError when the server does not answer.
        """
        with translated(self._uri), tempfile.TemporaryDirectory() as folder:
            model = self._get(model_id)
            path = local_folder(model.artifact_location)
            digest = self._check_signature(model, pipeline_name)
            try:
                actual = digest_of_files(path or self._download(model_id, Path(folder)))
            except (MlflowException, OSError) as error:  # a planted name such as %2e%2e/x is refused by MLflow
                check_reachable(self._uri)  # a server that is down is no reason to doubt files
                raise StoreError(f"the files of its model {model_id} cannot be read ({first_line(error)})") from error
        if model.status != LoggedModelStatus.READY or actual != digest:
            raise StoreError(f"the files of its model {model_id} are not those that were logged")

    def signed_digest(self, model_id: str, pipeline_name: str) -> str | None:
        """Return the signed sha256 of a model's files. They are not read. None when the model is gone.

        Raises SignatureError when nobody trusted signed it for this pipeline.
        """
        with translated(self._uri):
            model = unless_gone(lambda: self._client.get_logged_model(model_id))
        return None if model is None else self._check_signature(model, pipeline_name)

    def find_model(self, model_id: str) -> LoggedModel | None:
        """Return a logged model. None when there is none, or it was deleted."""
        with translated(self._uri):
            model = unless_gone(lambda: self._client.get_logged_model(model_id))
        if model is None:
            return None
        digest = model.tags.get(MODEL_FILES_DIGEST, "")
        return LoggedModel(model_id, model.source_run_id, digest, model.artifact_location)

    def list_files(self, model_id: str) -> dict[str, int]:
        """Return the size in bytes of each file, by path."""
        with translated(self._uri):
            return dict(walk(lambda path: self._client.list_logged_model_artifacts(model_id, path)))

    def has_files(self, model_id: str) -> bool:
        """Return whether a logged model and its file exist. The file itself is not requested."""
        with translated(self._uri):
            model = unless_gone(lambda: self._client.get_logged_model(model_id))
            return model is not None and self._has_payload(model_id)

    def _fetch(self, model_id: str, pipeline_name: str, folder: Path, *, trust: bool = False) -> Path:
        model = self._get(model_id)
        digest = None if trust else self._check_signature(model, pipeline_name)
        try:
            path = self._download(model_id, folder)
            remove_unsigned(path)
            actual = None if trust else digest_of_files(path)
        except (MlflowException, OSError) as error:
            check_reachable(self._uri)
            reason = first_line(error) or type(error).__name__
            raise StoreError(f"model {model_id}: its files cannot be fetched ({reason})") from error
        if actual != digest:
            raise StoreError(f"model {model_id}: its files are not those that were logged; they were altered")
        return path

    def _get(self, model_id: str) -> Any:
        model = unless_gone(lambda: self._client.get_logged_model(model_id))
        if model is None:
            raise StoreError(f"its model {model_id} is gone")
        return model

    def _check_signature(self, model: Any, pipeline_name: str) -> str:
        """Return the digest of a model's files that was signed. Nothing is fetched for it."""
        digest = str(model.tags.get(MODEL_FILES_DIGEST, ""))
        statement = model_statement(pipeline_name, model.model_id, digest)
        self._runs.keyring.verify(statement, model.tags.get(MODEL_SIGNATURE))
        return digest

    def _download(self, model_id: str, folder: Path) -> Path:
        if not self._has_payload(model_id):
            raise StoreError(f"model {model_id}: its files are gone")
        use_tracking_uri(self._uri)
        return Path(mlflow.artifacts.download_artifacts(f"models:/{model_id}", dst_path=str(folder)))

    def _has_payload(self, model_id: str) -> bool:
        # A server answers a request for a file that its bucket lacks with an error that the client repeats for minutes.
        entries = self._client.list_logged_model_artifacts(model_id)
        return not {Path(entry.path).name for entry in entries}.isdisjoint(kind.payload for kind in FORMATS)

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
def _own_code_inside(modules: Iterable[str]) -> Iterator[None]:
    """Pickle Waterflow and some modules by value. Models then load where these are not installed."""
    inside = [waterflow, *(sys.modules[name] for name in modules if name in sys.modules)]
    for module in inside:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in inside:
            cloudpickle.unregister_pickle_by_value(module)


def _format_in(folder: Path) -> Format:
    return next(kind for kind in FORMATS if (folder / kind.payload).is_file())
