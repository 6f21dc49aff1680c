"""The stores of an embedded home. One that earlier runs filled and that is gone is a loss, not a first start.

`installation.json` in the home has the home's random id and the names of the stores that were seen there. A folder
carries the id in a file as well, so that an emptied folder, or that of another home, counts as gone.
"""

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from waterflow.config.profile import Profile
from waterflow.errors import StoreError

RECORD, MARK = "installation.json", ".installation"


@dataclass(frozen=True)
class HomeStores:
    """The databases and folders of a home, from its profile."""

    home: Path
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, profile: Profile, home: Path) -> "HomeStores":
        """Return the stores that a profile has below the home."""
        named = (profile.tracking_uri, profile.artifact_root, profile.store_uri, profile.database_uri)
        return cls(home, tuple(path for path in _local_paths(named) if path.is_relative_to(home)))

    def require_all(self) -> None:
        """Raise StoreError when a store that was seen is lost. That of another home counts as lost."""
        identity, seen = self._read()
        for path in self.paths:
            if path.name in seen and not _is_present(path, identity):
                raise StoreError(
                    f"home: {str(path)!r} is gone or another one now, but earlier runs filled it; restore it from a "
                    f"backup, with the rest of its folder, or go on without it: rm {self.home / RECORD}"
                )

    def remember(self) -> None:
        """Record the stores that are there, and mark folders."""
        identity, seen = self._read()
        new = {path.name: path for path in self.paths if _is_used(path) and path.name not in seen}
        for path in new.values():
            if path.is_dir():
                (path / MARK).write_text(identity, "utf-8")
        if new:
            record = {"id": identity, "stores": sorted({*seen, *new})}
            scratch = self.home / f".{RECORD}.{os.getpid()}"
            scratch.write_text(json.dumps(record), "utf-8")
            scratch.replace(self.home / RECORD)

    def _read(self) -> tuple[str, set[str]]:
        try:
            record = json.loads((self.home / RECORD).read_text("utf-8"))
            return str(record["id"]), set(record["stores"])
        except FileNotFoundError:
            return uuid.uuid4().hex, set()
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise StoreError(
                f"home: {self.home / RECORD} cannot be read; restore it from a backup, or remove it"
            ) from error


def _is_present(path: Path, identity: str) -> bool:
    if path.is_dir():
        mark = path / MARK
        return mark.is_file() and mark.read_text("utf-8") == identity
    return _is_used(path)


def _is_used(path: Path) -> bool:
    return path.is_dir() or (path.is_file() and path.stat().st_size > 0)


def _local_paths(addresses: tuple[str | None, ...]) -> Iterator[Path]:
    for address in addresses:
        if address is not None and address.startswith("sqlite:///"):
            yield Path(unquote(address.removeprefix("sqlite:///")))
        elif address is not None and address.startswith("file://"):
            yield Path(unquote(address.removeprefix("file://")))
        elif address is not None and "://" not in address:
            yield Path(address)
