"""Checks of names and passwords: up to date with the database at each request, and slow for who guesses."""

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from mlflow.exceptions import MlflowException
from mlflow.server import auth
from mlflow.server.auth.entities import User
from werkzeug.security import check_password_hash, generate_password_hash

FREE_FAILURES = 5
MAX_WAIT_SECONDS = 60.0
FORGET_SECONDS = 900.0
REMEMBERED = 10_000


class TooManyFailuresError(Exception):
    """Too many wrong passwords: nothing is checked for a while."""

    def __init__(self, wait_seconds: float) -> None:
        """Say how long to wait."""
        super().__init__(wait_seconds)
        self.wait_seconds = wait_seconds


@dataclass
class Failures:
    """Wrong passwords of one name from one address."""

    count: int = 0
    latest: float = field(default_factory=time.monotonic)

    @property
    def wait_seconds(self) -> float:
        """The time until another attempt is checked."""
        if self.count < FREE_FAILURES:
            return 0.0
        pause = min(2.0 ** (self.count - FREE_FAILURES), MAX_WAIT_SECONDS)
        return max(0.0, self.latest + pause - time.monotonic())


class Passwords:
    """Verified passwords, and failures. An account's row is read at each request.

    A password's check takes 60 ms by design. A verified one is remembered, in memory and keyed, together with the stored hash:
    when an account is removed or its password changes, in whichever process, the next request is refused. Who failed too
    often waits; a password that was verified before passes all the same, so that nobody can lock out the pipelines.
    """

    def __init__(self) -> None:
        """Start without memory."""
        self._key = secrets.token_bytes(32)
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._failures: OrderedDict[tuple[str, str], Failures] = OrderedDict()
        self._lock = threading.Lock()
        self._checks = threading.Semaphore(2)  # guessing may not take the whole processor
        self._no_hash = generate_password_hash(secrets.token_hex())

    def authenticate(self, username: str, password: str, address: str) -> User | None:
        """Return the account. None for a wrong name or password.

        Raises TooManyFailuresError, whatever the password, after too many failures from this address.
        """
        user = find_user(username)
        stored = user.password_hash if user else self._no_hash  # an unknown name takes as long as a wrong password
        mark = hmac.new(self._key, f"{username}\0{stored}\0{password}".encode(), hashlib.sha256).digest()
        if not self._is_verified(mark):
            with self._checks:
                if not self._is_verified(mark):  # by another request, while this one waited
                    return self._check(mark, username, user, stored, password, address)
        return user

    def _is_verified(self, mark: bytes) -> bool:
        with self._lock:
            return mark in self._verified

    def _check(
        self, mark: bytes, username: str, user: User | None, stored: str, password: str, address: str
    ) -> User | None:
        """Check a password. It counts as wrong from the start, so that guesses at the same time gain nothing."""
        with self._lock:
            if (wait_seconds := self._failures_of(address, username).wait_seconds) > 0:
                raise TooManyFailuresError(wait_seconds)
            self._fail(address, username)
        if not check_password_hash(stored, password) or user is None:
            return None
        with self._lock:
            self._failures.pop((address, username), None)
            self._verified[mark] = None
            _shorten(self._verified)
        return user

    def _failures_of(self, address: str, username: str) -> Failures:
        found = self._failures.get((address, username))
        if found is None or time.monotonic() - found.latest > FORGET_SECONDS:
            return Failures()
        return found

    def _fail(self, address: str, username: str) -> None:
        failures = self._failures_of(address, username)
        self._failures.pop((address, username), None)
        self._failures[address, username] = Failures(failures.count + 1)
        _shorten(self._failures)


def _shorten(memory: OrderedDict[Any, Any]) -> None:
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


def find_user(username: str) -> User | None:
    """Return an account as the database has it now. None without one."""
    try:
        return auth.store.get_user(username)
    except MlflowException:
        return None
