"""Waiting times after failed logins."""

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

FREE_ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 60.0
FORGET_AFTER_SECONDS = 900.0
CAPACITY = 10_000


class Attempt(NamedTuple):
    """A name as typed, and the address of its sender."""

    account: str
    address: str


class Failures(NamedTuple):
    """How many attempts failed, and when the last one began."""

    attempts: int
    last_seconds: float


class LoginThrottle:
    """Waiting times per account and address.

    They are 1, 2, 4, … 60 seconds after five failures.

    An account is never locked, and nobody at another address is slowed down. An attempt counts as failed from its
    start, so that attempts at the same time gain nothing. At most 10,000 pairs are kept, the latest.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[Attempt, Failures] = OrderedDict()
        self._lock = Lock()

    def begin(self, attempt: Attempt) -> float:
        """Return the seconds to wait; 0 starts an attempt."""
        with self._lock:
            now = self._clock()
            count, last = self._failures.get(attempt, Failures(0, now))
            if now - last > FORGET_AFTER_SECONDS:
                count = 0
            if count >= FREE_ATTEMPTS and (wait := last + waiting_seconds(count) - now) > 0:
                return wait
            self._failures[attempt] = Failures(count + 1, now)
            self._failures.move_to_end(attempt)
            if len(self._failures) > CAPACITY:
                self._failures.popitem(last=False)
            return 0.0

    def succeed(self, attempt: Attempt) -> None:
        """Forget the failures before a successful attempt."""
        with self._lock:
            self._failures.pop(attempt, None)


def waiting_seconds(failures: int) -> float:
    """Return the wait after a number of failures."""
    return min(2.0 ** min(failures - FREE_ATTEMPTS, 10), LONGEST_WAIT_SECONDS)
