"""The protocol of object stores, with content addresses on top.

The key of a blob is `blobs/<first two hex digits>/<sha256>`. It is written once, verified whenever it is read or put
again, and overwritten only if its bytes no longer match its name.
"""

import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from waterflow.errors import StoreError
from waterflow.provenance.hashing import sha256_of
from waterflow.records.data import Blob

logger = logging.getLogger(__name__)

GONE = "it is gone"


@dataclass(frozen=True)
class Entry:
    """An object in a listing. `modified` is when it was stored, in UTC."""

    key: str
    size_bytes: int
    modified: datetime


class ObjectStore(Protocol):
    """Bytes by key; keys are `/`-separated. `tests/integration/stores/test_contract.py` tests each backend."""

    @property
    def uri(self) -> str:
        """The address of the store: `file://…` or `s3://…`. Used in messages and lineage."""
        ...

    def exists(self, key: str) -> bool:
        """Return whether an object exists. Raises UnreachableError when that cannot be known."""
        ...

    def upload(self, key: str, path: Path, *, replace: bool = False) -> None:
        """Store the file's bytes under `key`. An existing object stays unless `replace` is set."""
        ...

    def download(self, key: str, path: Path) -> None:
        """Write the object's bytes to `path`. Raises StoreError when there is no such object."""
        ...

    def list_keys(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the objects whose keys begin with `prefix`. Leftovers of interrupted uploads are among them."""
        ...

    def delete(self, key: str) -> None:
        """Remove an object, if it exists."""
        ...


def put_file(store: ObjectStore, path: Path) -> Blob:
    """Store a file under the sha256 of its bytes. A damaged object there is written again."""
    digest = sha256_of(path)
    blob = Blob(key=blob_key(digest), digest=digest, size_bytes=path.stat().st_size)
    problem = find_problem(store, blob)
    if problem is not None and problem != GONE:
        logger.warning("%s/%s: %s; written again", store.uri, blob.key, problem)
    store.upload(blob.key, path, replace=problem not in (None, GONE))
    return blob


def blob_key(digest: str) -> str:
    """Return the key of a blob."""
    return f"blobs/{digest[:2]}/{digest}"


def find_problem(store: ObjectStore, blob: Blob) -> str | None:
    """Return what is wrong with a stored blob, if anything.

    Raises UnreachableError when that cannot be known.
    """
    if not store.exists(blob.key):
        return GONE
    with tempfile.TemporaryDirectory(prefix="waterflow-") as folder:
        try:
            get_file(store, blob, Path(folder) / "blob")
        except StoreError:
            return "its bytes were altered or cut short"
    return None


def get_file(store: ObjectStore, blob: Blob, path: Path) -> Path:
    """Fetch a blob into `path`. Raises StoreError when it is gone or was altered."""
    store.download(blob.key, path)
    actual = sha256_of(path)
    if actual != blob.digest:
        raise StoreError(
            f"{store.uri}/{blob.key}: its bytes have the sha256 {actual[:12]}…, not {blob.digest[:12]}…; "
            "the object was altered or cut short: restore it from a backup, or start a new run"
        )
    return path


def put_json(store: ObjectStore, content: Any, scratch: Path) -> Blob:
    """Store JSON in canonical form: sorted keys, no spaces."""
    path = scratch / "content.json"
    path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False), "utf-8")
    return put_file(store, path)


def get_json(store: ObjectStore, blob: Blob, scratch: Path) -> Any:
    """Read what `put_json` stored."""
    return json.loads(get_file(store, blob, scratch / blob.digest).read_text("utf-8"))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a temporary folder for files of a store."""
    with tempfile.TemporaryDirectory(prefix="waterflow-") as name:
        yield Path(name)
