"""An object store in a folder."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from waterflow.errors import StoreError
from waterflow.stores.base import Entry


class FolderStore:
    """Objects as files below `root`, each moved into place whole."""

    def __init__(self, root: Path) -> None:
        """Create the folder; raises StoreError when it cannot be written."""
        self._root = root
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=root):
                pass
        except OSError as error:
            raise StoreError(
                f"store: {str(root)!r} cannot be written ({error.strerror}); give its owner the right to write, "
                "or set WATERFLOW_HOME to a folder of yours"
            ) from error

    @property
    def uri(self) -> str:
        """The folder as `file://…`."""
        return self._root.as_uri()

    def exists(self, key: str) -> bool:
        """Return whether there is such a file."""
        return (self._root / key).is_file()

    def upload(self, key: str, path: Path, *, replace: bool = False) -> None:
        """Copy the file, unless an object exists and stays.

        The existing object then counts as stored just now.
        """
        target = self._root / key
        if target.exists() and not replace:
            with suppress(OSError):  # another user's file cannot be touched
                os.utime(target)
            return
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=target.parent, prefix=".partial-")
            os.close(handle)
            shutil.copyfile(path, name)
            Path(name).replace(target)
        except OSError as error:
            raise StoreError(
                f"store: {str(target)!r} cannot be written ({error.strerror}); check space and rights"
            ) from error

    def download(self, key: str, path: Path) -> None:
        """Copy the object to `path`."""
        try:
            shutil.copyfile(self._root / key, path)
        except FileNotFoundError as error:
            raise StoreError(
                f"{self.uri}/{key}: no such object; it was removed, or belongs to another store"
            ) from error

    def list_keys(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the objects below the deepest folder that `prefix` names."""
        for folder, _, names in os.walk(self._root / prefix.rpartition("/")[0]):
            for name in names:
                path = Path(folder) / name
                key = path.relative_to(self._root).as_posix()
                with suppress(FileNotFoundError):  # moved to its place, or removed, meanwhile
                    if key.startswith(prefix):
                        found = path.stat()
                        yield Entry(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def delete(self, key: str) -> None:
        """Remove the file; its folder stays."""
        try:
            (self._root / key).unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"store: {str(self._root / key)!r} cannot be removed ({error.strerror}); check rights"
            ) from error
