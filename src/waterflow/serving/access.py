"""Who may ask the service. Tokens, and requests that other pages make a browser send."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Self

from waterflow.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LEAST_LENGTH = 20
RIGHT = "right"  # of the caller, in the scope of a request


class Right(IntEnum):
    """What a token allows; each includes those below it."""

    NONE = 0
    PREDICT = 1
    OUTCOMES = 2


@dataclass(frozen=True)
class Access:
    """The tokens of a service, as digests. Without any, whoever reaches it has every right."""

    digests: Mapping[bytes, Right] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, file: Path) -> Self:
        """Read a file of tokens. Its lines are `predict TOKEN` or `outcomes TOKEN`.

        Raises ConfigError for a file without a token, or with a line of another form.
        """
        try:
            lines = [line.split() for line in file.read_text("utf-8").splitlines() if line.split("#")[0].strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"tokens: {str(file)!r} cannot be read; name a file of lines such as `predict TOKEN`"
            ) from error
        digests: dict[bytes, Right] = {}
        for number, words in enumerate(lines, start=1):
            if len(words) != 2 or words[0] not in ("predict", "outcomes") or len(words[1]) < LEAST_LENGTH:
                raise ConfigError(
                    f"tokens: line {number} of {str(file)!r} is not `predict TOKEN` or `outcomes TOKEN`, with a token "
                    f"of at least {LEAST_LENGTH} characters"
                )
            digests[_digest(words[1])] = Right[words[0].upper()]
        if not digests:
            raise ConfigError(f"tokens: {str(file)!r} has none; write lines such as `predict TOKEN`")
        return cls(digests)

    @property
    def is_open(self) -> bool:
        """Whether no token is needed."""
        return not self.digests

    def right_of(self, authorization: str) -> Right:
        """Return the right of a header. It is `Bearer TOKEN`, or `Basic` with the token as password."""
        if self.is_open:
            return Right.OUTCOMES
        digest = _digest(_token_in(authorization))
        found = Right.NONE
        for known, right in self.digests.items():  # all of them, so that the time says nothing
            if hmac.compare_digest(known, digest):
                found = max(found, right)
        return found


def check_bind(host: str, access: Access) -> None:
    """Raise ConfigError where others reach a service without tokens."""
    if host not in LOOPBACK and access.is_open:
        raise ConfigError(
            f"host: {host!r} can be reached by others, and no token is set; name a file of tokens by --tokens, or "
            "stay on 127.0.0.1"
        )


def is_foreign(host: str, origin: str, access: Access) -> bool:
    """Return whether a page of somebody else sent a request.

    A browser names the page in `Origin`. Where no token is needed, `Host` has to be this machine's: anybody can let a
    name of theirs point to it.
    """
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if access.is_open and name.strip("[]") not in LOOPBACK:
        return True
    return bool(origin) and origin.partition("://")[2] != host


def _token_in(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
