"""Checks of names and passwords: up to date with the database at each request, and slow for who guesses."""

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict

from mlflow.exceptions import MlflowException
from mlflow.server import auth
from mlflow.server.auth.entities import User
from werkzeug.security import check_password_hash, generate_password_hash

from waterflow.orchestration.login_throttle import Attempt, LoginThrottle  # the image holds this one file of it

REMEMBERED = 10_000


class TooManyFailuresError(Exception):
    """Too many wrong passwords: nothing is checked for a while."""

    def __init__(self, wait_seconds: float) -> None:
        """Say how long to wait."""
        super().__init__(wait_seconds)
        self.wait_seconds = wait_seconds


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
        self._throttle = LoginThrottle()
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
        attempt = Attempt(username[:512], address)
        if wait_seconds := self._throttle.begin(attempt):
            raise TooManyFailuresError(wait_seconds)
        if not check_password_hash(stored, password) or user is None:
            return None
        self._throttle.succeed(attempt)
        with self._lock:
            self._verified[mark] = None
            if len(self._verified) > REMEMBERED:
                self._verified.popitem(last=False)
        return user


def find_user(username: str) -> User | None:
    """Return an account as the database has it now. None without one."""
    try:
        return auth.store.get_user(username)
    except MlflowException:
        return None
