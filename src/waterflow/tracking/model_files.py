"""A model's files on disk: verified, loaded and described. It asks no server and imports no MLflow."""

import json
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from waterflow.errors import StoreError
from waterflow.provenance.hashing import digest_of, sha256_of
from waterflow.provenance.signing import Keyring, Statement

UNSIGNED = ("__pycache__", "registered_model_meta")  # added by Python and by MLflow
PICKLE = "model.pkl"
ANY = "any"
TRAINED_TYPES = "trained_types"  # in a model's metadata: the type that each column had


@dataclass(frozen=True)
class SignedFiles:
    """The files of a model, and who vouches for them. `digest` is the sha256 of all, `signature` that of the digest."""

    folder: Path
    pipeline: str
    model_id: str
    digest: str
    signature: str


@dataclass(frozen=True)
class InputColumn:
    """A column of a model's signature.

    `type` is MLflow's name of what training saw. A `strict` signature takes nothing else.
    """

    name: str
    type: str
    required: bool = True
    strict: bool = False


def model_statement(pipeline_name: str, model_id: str, digest: str) -> Statement:
    """Return what is signed of a model. `digest` is that of all files."""
    return Statement("model", pipeline_name, model_id, digest)


def digest_of_files(folder: Path) -> str:
    """Hash all files of a model's folder.

    Left out is what MLflow adds to a registered version, and what Python adds when MLflow loads the model in place.
    """
    files = {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in folder.rglob("*")
        if path.is_file() and not set(UNSIGNED) & set(path.relative_to(folder).parts)
    }
    return digest_of(files)


def remove_unsigned(folder: Path) -> None:
    """Remove what nobody vouches for. Python would run the bytecode."""
    for name in UNSIGNED:
        for added in list(folder.rglob(name)):
            shutil.rmtree(added) if added.is_dir() else added.unlink()


def check_signed(files: SignedFiles, keyring: Keyring) -> None:
    """Verify signature and digest of files on disk.

    Raises SignatureError when nobody trusted signed them for this pipeline, StoreError when they were altered.
    """
    keyring.verify(model_statement(files.pipeline, files.model_id, files.digest), files.signature)
    remove_unsigned(files.folder)
    if digest_of_files(files.folder) != files.digest:
        raise StoreError(f"model {files.model_id}: its files are not those that were logged; they were altered")


def load_signed(files: SignedFiles, keyring: Keyring) -> Any:
    """Load the fitted pipeline, after verifying its files. Raises what `check_signed` raises."""
    check_signed(files, keyring)
    if (files.folder / PICKLE).is_file():
        with (files.folder / PICKLE).open("rb") as file:
            return pickle.load(file)  # noqa: S301  # verified in the line above
    from waterflow.tracking.model_formats import FORMATS  # MLflow

    return next(kind for kind in FORMATS if (files.folder / kind.payload).is_file()).load(files.folder)


def read_inputs(folder: Path) -> list[InputColumn]:
    """Read the columns of a model's signature.

    Raises StoreError where it names none, or where nothing says which types training saw.
    """
    described = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))
    try:
        columns, trained = json.loads(described["signature"]["inputs"]), described["metadata"][TRAINED_TYPES]
        return [
            InputColumn(entry["name"], trained[entry["name"]], entry.get("required", True), strict=entry["type"] != ANY)
            for entry in columns
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError("its files do not describe its columns; train it again") from error


def read_example(folder: Path) -> dict[str, Any]:
    """Read the first row of a model's input example. It is empty where the model has none."""
    path = folder / "input_example.json"
    if not path.is_file():
        return {}
    table = json.loads(path.read_text("utf-8"))
    return dict(zip(table["columns"], next(iter(table.get("data") or []), []), strict=False))
