"""Artifacts of runs: listed, read and verified by recorded digests."""

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException

from waterflow.errors import SignatureError, StoreError, first_line
from waterflow.provenance.signing import Statement
from waterflow.tracking.errors import check_reachable, translated
from waterflow.tracking.run_queries import RunQueries, TrackedRun
from waterflow.tracking.tags import (
    DIVISION_DIGEST,
    DIVISION_FILE,
    EVALUATED_DIGEST,
    EVALUATED_FILE,
    PIPELINE,
    PROVENANCE_DIGEST,
    PROVENANCE_FILE,
    RECORD_DIGEST,
    RECORD_FILE,
    RECORD_FOLDER,
    RECORD_SIGNATURE_PREFIX,
    STAGING_DIGEST,
    STAGING_FILE,
    VERDICT_FOLDER,
)

# The tags that hold the sha256 of a record.
DIGEST_TAGS = {
    RECORD_FILE: RECORD_DIGEST,
    DIVISION_FILE: DIVISION_DIGEST,
    EVALUATED_FILE: EVALUATED_DIGEST,
    PROVENANCE_FILE: PROVENANCE_DIGEST,
    STAGING_FILE: STAGING_DIGEST,
}
RECORD_FOLDERS = (RECORD_FOLDER, f"{VERDICT_FOLDER}*")


class ArtifactReader(RunQueries):
    """Read access to the artifacts of runs as well."""

    def read_json(self, run_id: str, path: str) -> dict[str, Any] | None:
        """Read a JSON object among a run's artifacts. None when it, or the run, is gone or is no JSON."""
        run = self.find_run(run_id, deleted_too=True)
        with translated(self.uri):
            content = self._read_bytes(run, path) if run else None
        try:
            parsed = json.loads(content) if content is not None else None
        except ValueError:
            return None
        return parsed if isinstance(parsed, dict) else None

    def read_verified(self, run: TrackedRun, path: str, digest: str | None = None) -> dict[str, Any]:
        """Read a record by its digest and signature. Raises StoreError, in a clause, where either differs.

        Unless it is given, the digest is that among the run's tags. Whoever may write tags can write a digest, so it
        tells damage apart, and only the signature vouches for the record. Raises UnreachableError when the server does
        not answer.
        """
        with translated(self.uri):
            try:
                content = self._read_bytes(run, path)
                if content is None:
                    raise StoreError(f"its {path} is gone")
                if hashlib.sha256(content).hexdigest() != (digest or run.tags.get(DIGEST_TAGS[path])):
                    raise StoreError(f"its {path} was altered or cut short")
                self._check_signature(run, path, content)
                return dict(json.loads(content))
            except (MlflowException, OSError, ValueError) as error:
                check_reachable(self.uri)
                raise StoreError(f"its {path} cannot be read ({first_line(error)})") from error

    def verify_records(self, run: TrackedRun) -> None:
        """Read all records that a run's tags name. Raises what `read_verified` raises."""
        for path, name in DIGEST_TAGS.items():
            if name in run.tags:
                self.read_verified(run, path)

    def sign_records(self, pipeline: str, run_id: str, digests: Mapping[str, str]) -> dict[str, str]:
        """Return the tags that vouch for records. `digests` are theirs, by path."""
        return {
            _signature_tag(path): self.keyring.sign(_record_statement(pipeline, run_id, path, digest))
            for path, digest in digests.items()
        }

    def _check_signature(self, run: TrackedRun, path: str, content: bytes) -> None:
        digest, signature = hashlib.sha256(content).hexdigest(), run.tags.get(_signature_tag(path))
        try:
            self.keyring.verify(_record_statement(run.tags.get(PIPELINE, ""), run.run_id, path, digest), signature)
        except SignatureError as error:
            raise SignatureError(f"nothing vouches for its {path} ({error})") from error

    def read_records(self, run: TrackedRun) -> dict[str, str]:
        """Read all JSON files that Waterflow logged.

        Return their text by path. Raises StoreError, in a clause, when one is no JSON, cannot be fetched, or when a
        FINISHED run has no record.
        """
        texts: dict[str, str] = {}
        with translated(self.uri):
            for path in self._record_paths(run):
                try:
                    texts[path] = (self._read_bytes(run, path) or b"").decode()
                    json.loads(texts[path])
                except (MlflowException, OSError, ValueError) as error:
                    check_reachable(self.uri)
                    raise StoreError(f"{path} cannot be read ({type(error).__name__})") from error
        if run.is_ours and run.status == "FINISHED" and RECORD_FILE not in texts:
            raise StoreError(f"it is FINISHED and has no {RECORD_FILE}")
        return texts

    def hash_file(self, run: TrackedRun, path: str) -> str | None:
        """Return the sha256 of an artifact. None when it is gone."""
        with translated(self.uri):
            content = self._read_bytes(run, path)
        return None if content is None else hashlib.sha256(content).hexdigest()

    def list_files(self, run_id: str) -> dict[str, int]:
        """Return the size in bytes of each artifact, by path."""
        with translated(self.uri):
            return dict(walk(lambda path: self.client.list_artifacts(run_id, path)))

    def _read_bytes(self, run: TrackedRun, path: str) -> bytes | None:
        folder = local_folder(run.artifact_uri)
        if folder is not None:
            return (folder / path).read_bytes() if (folder / path).is_file() else None
        # Asking a server for an artifact that its bucket lacks is an error 500, repeated for minutes.
        parent = path.rpartition("/")[0] or None
        if all(entry.path != path for entry in self.client.list_artifacts(run.run_id, parent)):
            return None
        with tempfile.TemporaryDirectory() as scratch:
            return Path(self.client.download_artifacts(run.run_id, path, scratch)).read_bytes()

    def _record_paths(self, run: TrackedRun) -> list[str]:
        try:
            top = [entry.path for entry in self.client.list_artifacts(run.run_id) if entry.is_dir]
            folders = [path for path in top if any(fnmatch(path, pattern) for pattern in RECORD_FOLDERS)]
            files = [entry.path for folder in folders for entry in self.client.list_artifacts(run.run_id, folder)]
        except (MlflowException, OSError) as error:
            check_reachable(self.uri)
            raise StoreError(f"its artifacts cannot be listed ({type(error).__name__})") from error
        return [path for path in files if path.endswith(".json")]


def write_record(folder: Path, record: Mapping[str, Any], path: str = RECORD_FILE) -> str:
    """Write a step's record among the artifacts to log. Returns its sha256, the value of its tag in `DIGEST_TAGS`."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    content = json.dumps(record, indent=2, sort_keys=True, ensure_ascii=False).encode()
    file.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _record_statement(pipeline: str, run_id: str, path: str, digest: str) -> Statement:
    """Return what is signed of a record. It counts for one file of one run."""
    return Statement("record", pipeline, f"{run_id}/{path}", digest)


def _signature_tag(path: str) -> str:
    return RECORD_SIGNATURE_PREFIX + PurePosixPath(path).stem


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON among the artifacts to log."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False), "utf-8")


def local_folder(uri: str) -> Path | None:
    """Return the folder behind an address of artifacts. None where they come through a server."""
    if uri.startswith("file:"):
        return Path(url2pathname(urlsplit(uri).path))
    return None if "://" in uri or ":/" in uri else Path(uri)


def walk(ask: Callable[[str | None], Sequence[FileInfo]], path: str | None = None) -> Iterator[tuple[str, int]]:
    """Yield path and size of each file in a tree. `ask` lists a folder."""
    for entry in ask(path):
        if entry.is_dir:
            yield from walk(ask, entry.path)
        else:
            yield entry.path, entry.file_size or 0
