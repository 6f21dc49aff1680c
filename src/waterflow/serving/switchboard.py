"""Moments at which all workers of a service switch.

A version is loaded beside the one that answers, by every worker, before the supervisor sets the moment. Each request
then reads the moment when it begins: before it the old version answers, from it on the new one, whichever worker the
request reaches. So no request is answered by the old version after another was by the new, with neither timers nor
messages. Times are those of the monotonic clock, which all processes of a machine share; the file says nothing after a
restart of the service.
"""

import mmap
import time
from collections.abc import Sequence
from pathlib import Path

from waterflow.provenance.hashing import digest_of
from waterflow.records.serving import ServedVersion

FILE = "switches"
NEVER = 2**64 - 1
PLACE = 2  # 64-bit integers a pipeline: which version, and when


class Switchboard:
    """The newest switch of each pipeline. It names a version and a moment."""

    def __init__(self, folder: Path, pipelines: Sequence[str]) -> None:
        """Open the file in a service's folder, or create it."""
        self._places = {name: PLACE * place for place, name in enumerate(pipelines)}
        size = 8 * PLACE * max(len(pipelines), 1)
        with (folder / FILE).open("a+b") as file:
            if file.seek(0, 2) < size:
                file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)
        self._values = memoryview(self._map).cast("Q")

    def set_switch(self, pipeline: str, token: int, after_seconds: float = 0.0) -> None:
        """Let a version answer from a moment on."""
        place = self._places[pipeline]
        self._values[place + 1] = NEVER  # a reader between the two stores sees no switch
        self._values[place] = token
        self._values[place + 1] = time.monotonic_ns() + round(after_seconds * 1e9)

    def is_due(self, pipeline: str, token: int) -> bool:
        """Return whether a version answers requests from now on."""
        place = self._places[pipeline]
        return self._values[place] == token and time.monotonic_ns() >= self._values[place + 1]


def token_of(version: ServedVersion) -> int:
    """Return a number that stands for a version. The same version by another row of the ledger has another."""
    return int(digest_of(version.to_json())[:15], 16) + 1


def clear_switches(folder: Path) -> None:
    """Forget the switches of an earlier start."""
    (folder / FILE).unlink(missing_ok=True)
