"""The process that seals the prediction log.

`python -m waterflow.serving.prediction_log.sealer SPOOL` runs beside the workers, so that Parquet and the store cost
them nothing. It ends with the process that started it, or by SIGTERM, after one last round.
"""

import logging
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from waterflow.config.compose import compose_profile
from waterflow.config.project import find_project
from waterflow.ledger.prediction_index import PredictionIndex
from waterflow.serving.prediction_log.sealing import seal_until
from waterflow.stores.open import open_store


class Ending:
    """Notices when this process should end.

    That is at SIGTERM, or when the process that started it has ended.
    """

    def __init__(self) -> None:
        """Take over SIGTERM and SIGINT."""
        self._told, self._parent = threading.Event(), os.getppid()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def wait(self, timeout_seconds: float) -> bool:
        """Return whether the process should end. Waits at most so long."""
        return self._told.wait(timeout_seconds) or os.getppid() != self._parent

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._told.set()


def main(spool: str, every_seconds: str = "5") -> None:
    """Seal a spool until this process is told to end."""
    logging.basicConfig(format="%(message)s")
    logging.getLogger("waterflow").setLevel(logging.INFO)
    project, ending = find_project(), Ending()
    profile = compose_profile(project, ())
    seal_until(
        ending.wait,
        Path(spool),
        lambda: (open_store(profile.store_uri), PredictionIndex(profile.find_database())),
        float(every_seconds),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
