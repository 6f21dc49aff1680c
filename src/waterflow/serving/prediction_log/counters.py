"""Counters of a worker in a memory-mapped file. They survive `kill -9`, and other processes read them."""

import fcntl
import mmap
from pathlib import Path

from waterflow.records.prediction_log import WorkerTotals

FIELDS = ("accepted", "written", "synced", "sealed", "dropped", "left_out")
SIZE = 8 * len(FIELDS)
NAME = "counters"


class Counters:
    """Rows that a worker took, by what became of them.

    `accepted` went into memory, `written` into the spool, `synced` to the disk, `sealed` into the store. `dropped` were
    refused because a bound was reached, `left_out` are not wanted by the sample.
    """

    def __init__(self, folder: Path) -> None:
        """Open the counters in a folder, or create them."""
        self._file = (folder / NAME).open("a+b")
        if self._file.seek(0, 2) < SIZE:
            self._file.truncate(SIZE)
        self._map = mmap.mmap(self._file.fileno(), SIZE)
        self._values = memoryview(self._map).cast("Q")

    def try_lock(self) -> bool:
        """Lock the counters until closed, or this process ends.

        Returns False where another process has them.
        """
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def add(self, field: str, rows: int) -> None:
        """Add to a counter. Each has one writer."""
        self._values[FIELDS.index(field)] += rows

    def set(self, field: str, rows: int) -> None:
        """Set a counter."""
        self._values[FIELDS.index(field)] = rows

    def read(self) -> dict[str, int]:
        """Return all counters."""
        return dict(zip(FIELDS, self._values, strict=True))

    def totals(self, worker: str, sealed: int) -> WorkerTotals:
        """Return what became of a worker's rows. Those that nothing accounts for are lost."""
        counted = self.read()
        lost = max(counted["accepted"] - sealed, 0)
        return WorkerTotals(
            worker=worker, accepted=counted["accepted"], sealed=sealed, dropped=counted["dropped"], lost=lost
        )

    def close(self) -> None:
        """Close the file, and with it the lock."""
        self._values.release()
        self._map.close()
        self._file.close()
