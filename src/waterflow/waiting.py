"""Log lines for waits on other processes and servers."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread, local

logger = logging.getLogger(__name__)

FIRST_SECONDS = 5.0
EVERY_SECONDS = 60.0
_inside = local()


@contextmanager
def announced(awaited: str) -> Iterator[None]:
    """Log what is being waited for.

    A line comes after 5 seconds, then every minute, and one at the end. A wait that is shorter says nothing, and one
    within another is part of that.
    """
    if getattr(_inside, "awaited", None):
        yield
        return
    _inside.awaited = awaited
    over, started = Event(), time.monotonic()
    thread = Thread(target=_announce, args=(awaited, over, started), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        _inside.awaited = None
        if time.monotonic() - started > FIRST_SECONDS:
            logger.info("%s took %.0f s", awaited, time.monotonic() - started)


def _announce(awaited: str, over: Event, started: float) -> None:
    pause = FIRST_SECONDS
    while not over.wait(pause):
        logger.info("waiting for %s, for %.0f s by now", awaited, time.monotonic() - started)
        pause = EVERY_SECONDS
