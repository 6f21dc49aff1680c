"""An object store in a folder."""

import os
import shutil
import tempfile
from pathlib import Path

from waterflow.errors import StoreError


class FolderStore:
    """Objects as files below `root`, each written beside its place and then moved there in one step."""

    def __init__(self, root: Path) -> None:
        """Make the folder; raises StoreError when it cannot be written."""
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
        """Say whether there is such a file."""
        return (self._root / key).is_file()

    def upload(self, key: str, path: Path, *, replace: bool = False) -> None:
        """Copy the file to its place, unless an object is there already that is not to be replaced."""
        target = self._root / key
        if target.exists() and not replace:
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
