"""The worker's side of the prediction log.

Answers wait in a bounded queue, which a thread writes to the worker's folder in the spool: its counters, and numbered
files of frames. The file that it writes ends in `.open`, the others in `.closed`; sealing takes those. A lock on the
counters shows that the worker lives. What is written survives the end of the process, what is synced that of the
machine.
"""

import logging
import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from waterflow.config.schema import LogConfig
from waterflow.serving.prediction_log.counters import Counters
from waterflow.serving.prediction_log.frames import ServedRows, encode_frame, is_sampled
from waterflow.serving.prediction_log.spool_file import SpoolFile, spool_bytes

logger = logging.getLogger(__name__)

SPOOL = "spool"  # the folder beside those of services
UNFINISHED = ".new-"  # a folder whose worker has not locked its counters yet


@dataclass(frozen=True)
class SpoolLimits:
    """The bounds of the spool, and its intervals.

    `memory_bytes` wait in a worker for the next write, `disk_bytes` of all workers for the store. A file is closed, so
    that it can be sealed, when it has `file_bytes` or is `file_seconds` old.
    """

    memory_bytes: int = 32_000_000
    disk_bytes: int = 4_000_000_000
    file_bytes: int = 16_000_000
    file_seconds: float = 300.0
    flush_seconds: float = 0.1


class PredictionLog:
    """Takes a worker's answers. Appending never waits for a disk or a server; beyond a bound rows are dropped."""

    def __init__(self, spool: Path, limits: SpoolLimits | None = None) -> None:
        """Make the worker's folder, and start to write."""
        self.limits = limits or SpoolLimits()
        self._spool = spool
        self.worker = f"{socket.gethostname()[:24]}-{os.getpid()}-{time.time_ns():x}"
        self.folder = spool / self.worker
        unlocked = spool / f"{UNFINISHED}{self.worker}"
        unlocked.mkdir(parents=True)
        self.counters = Counters(unlocked)
        self.counters.try_lock()
        unlocked.rename(self.folder)
        self._lock = threading.Lock()
        self._frames: list[bytes] = []
        self._pending_rows = self._pending_bytes = 0
        self._is_full = self._is_dropping = False
        self._dropped_before, self._trouble = 0, ""
        self._file: SpoolFile | None = None
        self._files = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prediction-log", daemon=True)
        self._thread.start()

    def append(self, rows: ServedRows, settings: LogConfig) -> None:
        """Take the rows of an answered request. The pipeline's settings say what is recorded."""
        count = len(rows.labels)
        if not is_sampled(rows.id, settings.sample):
            self.counters.add("left_out", count)
            return
        try:
            frame = encode_frame(_as_configured(rows, settings))
        except (TypeError, ValueError, OverflowError, RecursionError):
            logger.exception("prediction log: an answer of %s cannot be recorded", rows.pipeline)
            self.counters.add("dropped", count)
            return
        with self._lock:
            if self._is_full or self._pending_bytes + len(frame) > self.limits.memory_bytes:
                self.counters.add("dropped", count)
                return
            self.counters.add("accepted", count)
            self._frames.append(frame)
            self._pending_rows += count
            self._pending_bytes += len(frame)

    def close(self) -> None:
        """Write what is pending, and let the spool be sealed."""
        self._stopping.set()
        self._thread.join()
        self.counters.close()

    def _run(self) -> None:
        next_look = 0.0
        while not self._stopping.wait(self.limits.flush_seconds):
            self._flush()
            if time.monotonic() >= next_look:
                self._watch_bounds()
                next_look = time.monotonic() + 1
        self._flush()
        if self._file is not None:
            self._file.close()

    def _flush(self) -> None:
        with self._lock:
            frames, rows = self._frames, self._pending_rows
            self._frames, self._pending_rows, self._pending_bytes = [], 0, 0
        try:
            if frames:
                self._file = self._file or self._open_file()
                self._file.write(frames)
                self.counters.add("written", rows)
                frames, rows = [], 0
            if self._file is not None and self._file.sync():
                self.counters.set("synced", self.counters.read()["written"])
            if self._file is not None and self._file.is_due(self.limits.file_bytes, self.limits.file_seconds):
                file, self._file = self._file, None
                file.close()
            self._trouble = ""
        except OSError as error:
            with self._lock:
                self._frames = [*frames, *self._frames]
                self._pending_rows += rows
                self._pending_bytes += sum(map(len, frames))
            self._trouble = f"{self.folder} cannot be written ({error.strerror})"

    def _open_file(self) -> SpoolFile:
        self._files += 1
        return SpoolFile(self.folder, self._files)

    def _watch_bounds(self) -> None:
        """Log when dropping begins and ends."""
        size = spool_bytes(self._spool)
        self._is_full = size + self.limits.file_bytes > self.limits.disk_bytes
        dropped = self.counters.read()["dropped"]
        is_dropping = self._is_full or dropped > self._dropped_before
        if is_dropping and not self._is_dropping:
            why = self._trouble or f"the spool has {size} bytes of at most {self.limits.disk_bytes}"
            logger.error(
                "prediction log: answers are not recorded: %s; see that the disk has space, and that the store and the "
                "sealing process are up",
                why,
            )
        elif self._is_dropping and not is_dropping:
            logger.error("prediction log: answers are recorded again; %d rows were dropped so far", dropped)
        self._is_dropping, self._dropped_before = is_dropping, dropped


def _as_configured(rows: ServedRows, settings: LogConfig) -> ServedRows:
    """Return rows as they may be recorded."""
    columns = rows.columns
    if settings.columns is not None:
        columns = {name: columns[name] for name in settings.columns if name in columns}
    return msgspec.structs.replace(rows, columns=columns, sample=settings.sample, keep_days=settings.keep_days)
