"""The files of signing keys. They are made at first start, loaded, rotated and revoked."""

import base64
import os
import secrets
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from waterflow.config.profile import Profile
from waterflow.errors import ConfigError, SignatureError
from waterflow.provenance.signing import Keyring, SigningKey, key_id_of

REVOKED = "revoked"


def open_keyring(profile: Profile) -> Keyring:
    """Load the keys of a profile. Raises ConfigError when a file cannot be read or holds no key."""
    private, public = (
        None if name is None else Path(name) for name in (profile.signing_key_file, profile.public_keys_file)
    )
    return load_keyring(private, public, profile.public_keys or "", make=profile.make_signing_key)


def load_keyring(
    signing_key_file: Path | None, public_keys_file: Path | None = None, public_keys: str = "", *, make: bool = False
) -> Keyring:
    """Load the keys of a process.

    `public_keys_file` has a key a line, in base64; `revoked` before it withdraws it. `public_keys` are the same in a
    setting, separated by commas or white space. The public key of the signing key is always trusted, unless revoked.
    With `make`, a missing signing key is made. Raises ConfigError when a file cannot be read or holds no key.
    """
    if make and signing_key_file is not None:
        make_signing_key(signing_key_file)
    own = None
    try:
        if signing_key_file is not None:
            own = SigningKey(_read(signing_key_file, "signing_key_file"))
        listed = _read(public_keys_file, "public_keys_file") if public_keys_file and public_keys_file.exists() else ""
        trusted, revoked = parse_public_keys(f"{listed}\n{public_keys}")
    except SignatureError as error:
        raise ConfigError(f"keys: {error}; name the files of a start of this stack or home") from error
    if own is not None:
        trusted |= {own.public_key}
    return Keyring(trusted - revoked, revoked, own)


def parse_public_keys(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the trusted and the revoked keys in a text. Raises SignatureError for what is no key."""
    words = [word for line in text.splitlines() for word in line.partition("#")[0].replace(",", " ").split()]
    revoked = {key for word, key in pairwise(words) if word == REVOKED}
    keys = {word for word in words if word != REVOKED}
    for key in keys:
        key_id_of(key)
    return frozenset(keys - revoked), frozenset(revoked)


def make_signing_key(file: Path) -> None:
    """Make a signing key unless there is one. It is for its owner alone; of several processes, one makes it."""
    if file.exists():
        return
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        scratch = _write_new(file)
        try:
            os.link(scratch, file)  # unlike a rename, it never replaces the key of another process
        except FileExistsError:
            pass
        finally:
            scratch.unlink()
    except OSError as error:
        raise ConfigError(
            f"signing key: {str(file)!r} cannot be made ({error.strerror}); "
            "set WATERFLOW_HOME to a folder of yours, or WATERFLOW_SIGNING_KEY_FILE to a key"
        ) from error


def rotate_signing_key(file: Path, public_keys_file: Path, *, revoke: Iterable[str] = ()) -> Keyring:
    """Replace the signing key. Its public key is kept, and some keys are revoked, by id.

    What the old key signed stays valid unless it is revoked. Raises ConfigError for a key that is not known.
    """
    before = load_keyring(file, public_keys_file)
    known = {key_id_of(key): key for key in before.public_keys | before.revoked}
    unknown = sorted(set(revoke) - set(known))
    if unknown:
        raise ConfigError(f"no key {unknown[0]!r}; keys are {', '.join(sorted(known))}")
    revoked = before.revoked | {known[key_id] for key_id in revoke}
    # The old public key first: should this process die in between, nothing signed is lost.
    write_public_keys(public_keys_file, before.public_keys - revoked, revoked)
    _write_new(file).replace(file)
    return load_keyring(file, public_keys_file)


def write_public_keys(file: Path, public_keys: Iterable[str], revoked: Iterable[str]) -> None:
    """Write a file of public keys, at once."""
    lines = [*sorted(public_keys), *(f"{REVOKED} {key}" for key in sorted(revoked))]
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    scratch.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    scratch.replace(file)


def _write_new(file: Path) -> Path:
    """Write a new key beside `file`. Returns its path."""
    scratch = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write(base64.b64encode(secrets.token_bytes(32)).decode("ascii") + "\n")
        opened.flush()
        os.fsync(descriptor)
    return scratch


def _read(file: Path, setting: str) -> str:
    try:
        return file.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{setting} {str(file)!r} cannot be read ({getattr(error, 'strerror', None) or 'no text'}); "
            f"name a readable file by WATERFLOW_{setting.upper()}"
        ) from error
