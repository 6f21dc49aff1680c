"""Files of the spool. They are written by one worker, and closed before anybody else takes them."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

OPEN, CLOSED = ".open", ".closed"


class SpoolFile:
    """A numbered file of frames that is being written."""

    def __init__(self, folder: Path, number: int) -> None:
        """Open a new file; raises OSError where that cannot be."""
        self.number = number
        self._path = folder / f"{number:06d}{OPEN}"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._folder = os.open(folder, os.O_RDONLY)
        os.fsync(self._folder)
        self._size, self._is_synced = 0, True
        self._opened = time.monotonic()

    def write(self, frames: Sequence[bytes]) -> None:
        """Write all frames, or none and raise OSError."""
        content = memoryview(b"".join(frames))
        written = 0
        try:
            while written < len(content):
                written += os.write(self._file, content[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(content)
        self._is_synced = False

    def sync(self) -> bool:
        """Write to the disk what it has not yet. Returns whether there was anything."""
        if self._is_synced:
            return False
        os.fdatasync(self._file)
        self._is_synced = True
        return True

    def is_due(self, file_bytes: int, file_seconds: float) -> bool:
        """Return whether the file should be closed."""
        age = time.monotonic() - self._opened
        return self._size >= file_bytes or (self._size > 0 and age >= file_seconds)

    def close(self) -> None:
        """Close the file, and let others take it."""
        os.close(self._file)
        self._path.rename(self._path.with_suffix(CLOSED))
        os.fsync(self._folder)
        os.close(self._folder)


def spool_bytes(spool: Path) -> int:
    """Return the size of all files of all workers."""
    total = 0
    for path in spool.glob("*/*"):
        with suppress(FileNotFoundError):  # sealed meanwhile
            total += path.stat().st_size
    return total
