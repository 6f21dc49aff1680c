"""Signatures of models and records, by Ed25519.

What is signed is a statement: kind, pipeline, id and digest together. A signature of one is of no use for another, so
that nothing signed can be passed off under another name, in another pipeline or as another kind of thing.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from waterflow.errors import SignatureError

DOMAIN = b"waterflow statement 1\n"


class Statement(NamedTuple):
    """What a signature vouches for."""

    kind: str
    pipeline: str
    id: str
    digest: str

    def encode(self) -> bytes:
        """Return the bytes that are signed. No two statements share them."""
        return DOMAIN + json.dumps(list(self), separators=(",", ":"), ensure_ascii=True).encode("ascii")

    def __str__(self) -> str:
        return f"{self.kind} {self.id} of pipeline {self.pipeline!r}"


class SigningKey:
    """A private key. Its text is the base64 of the 32 bytes of its seed."""

    def __init__(self, text: str) -> None:
        """Read a key. Raises SignatureError, without the text, when it is none."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key = Ed25519PrivateKey.from_private_bytes(_decode(text.strip(), 32, "signing key"))
        self.public_key = base64.b64encode(self._key.public_key().public_bytes_raw()).decode("ascii")
        self.key_id = key_id_of(self.public_key)

    def sign(self, statement: Statement) -> str:
        """Return `KEY_ID:SIGNATURE` of a statement."""
        return f"{self.key_id}:{base64.b64encode(self._key.sign(statement.encode())).decode('ascii')}"


@dataclass(frozen=True)
class Keyring:
    """The keys of a process.

    It trusts `public_keys`, in base64, accepts nothing that a key in `revoked` signed, and signs with `signing_key`.
    """

    public_keys: frozenset[str]
    revoked: frozenset[str] = frozenset()
    signing_key: SigningKey | None = field(default=None, repr=False)

    def sign(self, statement: Statement) -> str:
        """Sign a statement. Raises SignatureError without a private key."""
        if self.signing_key is None:
            raise SignatureError(
                f"{statement} cannot be signed: this process has no signing key; "
                "run the step where the key is (the stack's tasks, `docker compose run --rm cli`)"
            )
        return self.signing_key.sign(statement)

    def verify(self, statement: Statement, signature: str | None) -> None:
        """Raise SignatureError unless a trusted key signed this statement."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        if not signature:
            raise SignatureError(f"{statement} is not signed; train it again with a run of this stack or home")
        key_id, _, encoded = signature.partition(":")
        trusted, withdrawn = _by_id(self.public_keys - self.revoked), _by_id(self.revoked)
        if key_id in withdrawn:
            raise SignatureError(f"{statement} is signed with the revoked key {key_id}; train it again")
        if key_id not in trusted:
            raise SignatureError(
                f"{statement} is signed with key {key_id[:16]!r}, which is not trusted here; trusted: "
                f"{', '.join(sorted(trusted)) or 'none'}. Ask for the public key (`waterflow keys show` where models "
                "are trained) and set WATERFLOW_PUBLIC_KEYS, or train it again"
            )
        try:
            key = Ed25519PublicKey.from_public_bytes(_decode(trusted[key_id], 32, "public key"))
            key.verify(_decode(encoded, 64, "signature"), statement.encode())
        except InvalidSignature as error:
            raise SignatureError(
                f"{statement} has a signature of something else, or was altered; train it again"
            ) from error


def key_id_of(public_key: str) -> str:
    """Return the short name of a public key. It is the start of its sha256, in hexadecimal."""
    return hashlib.sha256(_decode(public_key, 32, "public key")).hexdigest()[:16]


def _by_id(public_keys: frozenset[str]) -> Mapping[str, str]:
    return {key_id_of(key): key for key in public_keys}


def _decode(text: str, length: int, what: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureError(f"{what}: no base64; expected {length} bytes in base64") from error
    if len(content) != length:
        raise SignatureError(f"{what}: {len(content)} bytes; expected {length} bytes in base64")
    return content
