import base64
import re
import stat
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from waterflow.errors import ConfigError, SignatureError
from waterflow.provenance.signing import Keyring, SigningKey, Statement
from waterflow.provenance.signing_keys import (
    load_keyring,
    make_signing_key,
    parse_public_keys,
    rotate_signing_key,
)

MODEL = Statement("model", "water", "m-1", "ab" * 32)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The place of a key that is not there yet."""
    return tmp_path / "keys" / "signing_key"


@pytest.fixture
def keyring(key_file: Path) -> Keyring:
    """The keys of a new home."""
    return load_keyring(key_file, make=True)


def test_what_a_trusted_key_signed_is_accepted(keyring: Keyring) -> None:
    """The signature of a statement verifies with the public key alone."""
    Keyring(keyring.public_keys).verify(MODEL, keyring.sign(MODEL))


@pytest.mark.parametrize(
    ("field", "value"), [("kind", "ledger-row"), ("pipeline", "iris"), ("id", "m-2"), ("digest", "")]
)
def test_a_signature_counts_for_no_other_statement(keyring: Keyring, field: str, value: str) -> None:
    """It is refused under another kind, pipeline, id or digest."""
    with pytest.raises(SignatureError, match="signature of something else, or was altered"):
        keyring.verify(MODEL._replace(**{field: value}), keyring.sign(MODEL))


def test_no_two_statements_share_their_bytes() -> None:
    """Moving characters from one field to the next changes what is signed."""
    texts = ["a", 'a","b', "a\nb", "a,b", "ü", "\ud800", ""]
    statements = [Statement(kind, pipeline, "1", "2") for kind in texts for pipeline in texts]
    assert len({statement.encode() for statement in statements}) == len(statements)


@pytest.mark.parametrize("signature", [None, "", "x", "0123456789abcdef:AAAA"])
def test_what_is_not_signed_by_a_trusted_key_is_refused(keyring: Keyring, signature: str | None) -> None:
    """One line says what is wrong and what to do."""
    with pytest.raises(SignatureError, match=r"model m-1 of pipeline 'water' is .*train it again") as refused:
        keyring.verify(MODEL, signature)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("encoded", ["", "AAAA", "!!!", "A" * 88, "ü"])
def test_a_malformed_signature_is_refused(keyring: Keyring, encoded: str) -> None:
    """Whatever stands after the id of a trusted key, the answer is our error."""
    assert keyring.signing_key is not None
    with pytest.raises(SignatureError):
        keyring.verify(MODEL, f"{keyring.signing_key.key_id}:{encoded}")


def test_the_signature_of_a_stranger_says_how_to_trust_it(keyring: Keyring, tmp_path: Path) -> None:
    """The error names the setting for the public key, and the command that prints it."""
    stranger = load_keyring(tmp_path / "other", make=True)
    with pytest.raises(SignatureError, match=r"not trusted here.*waterflow keys show.*WATERFLOW_PUBLIC_KEYS"):
        keyring.verify(MODEL, stranger.sign(MODEL))


def test_without_a_private_key_nothing_is_signed(keyring: Keyring) -> None:
    """Who has public keys only is told where the key is."""
    with pytest.raises(SignatureError, match="this process has no signing key"):
        Keyring(keyring.public_keys).sign(MODEL)


def test_the_private_key_is_for_its_owner(keyring: Keyring, key_file: Path) -> None:
    """The key is readable and writable by its owner alone, and never printed."""
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert key_file.read_text().strip() not in repr(keyring)
    assert [path.name for path in key_file.parent.iterdir()] == ["signing_key"]


def test_processes_that_start_at_once_share_one_key(key_file: Path) -> None:
    """All sign with the key of the process that came first."""
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(make_signing_key, [key_file] * 8))
        assert len(set(pool.map(_public_key, [key_file] * 4))) == 1
    assert [path.name for path in key_file.parent.iterdir()] == ["signing_key"]


def test_rotation_keeps_what_was_signed_before(keyring: Keyring, key_file: Path) -> None:
    """The new key signs, and signatures of the old one stay valid."""
    signature = keyring.sign(MODEL)
    rotated = rotate_signing_key(key_file, key_file.with_name("public_keys"))
    rotated.verify(MODEL, signature)
    assert rotated.sign(MODEL) != signature
    keyring_of_a_reader = Keyring(rotated.public_keys)
    keyring_of_a_reader.verify(MODEL, rotated.sign(MODEL))


def test_what_a_revoked_key_signed_is_refused(keyring: Keyring, key_file: Path) -> None:
    """A key that leaked signs for nobody, whatever was signed and when."""
    assert keyring.signing_key is not None
    public = key_file.with_name("public_keys")
    rotated = rotate_signing_key(key_file, public, revoke=[keyring.signing_key.key_id])
    with pytest.raises(SignatureError, match=rf"revoked key {keyring.signing_key.key_id}; train it again"):
        rotated.verify(MODEL, keyring.sign(MODEL))
    again = load_keyring(None, public, keyring.signing_key.public_key)
    with pytest.raises(SignatureError, match="revoked"):
        again.verify(MODEL, keyring.sign(MODEL))


def test_an_unknown_key_is_not_revoked(keyring: Keyring, key_file: Path) -> None:
    """The error lists the known keys, and nothing changes."""
    before = key_file.read_text()
    with pytest.raises(
        ConfigError, match=rf"no key 'abc'; keys are {keyring.signing_key and keyring.signing_key.key_id}"
    ):
        rotate_signing_key(key_file, key_file.with_name("public_keys"), revoke=["abc"])
    assert key_file.read_text() == before


def test_public_keys_are_read_from_text_with_comments() -> None:
    """Keys stand between commas, spaces and lines; `revoked` withdraws the next one."""
    one, two, three = (base64.b64encode(bytes([n] * 32)).decode() for n in (1, 2, 3))
    assert parse_public_keys(f"{one}, {two}  # of 2026\nrevoked {three}\n{three}") == ({one, two}, {three})


@pytest.mark.parametrize("content", ["", "abc", base64.b64encode(b"short").decode()])
def test_a_file_without_a_key_is_named_without_its_content(tmp_path: Path, content: str) -> None:
    """The message of a broken key file shows nothing of it."""
    (tmp_path / "key").write_text(content)
    with pytest.raises(ConfigError, match="signing key: ") as refused:
        load_keyring(tmp_path / "key")
    assert not content or not re.search(rf"\b{re.escape(content)}\b", str(refused.value))


def test_a_missing_key_is_not_made_unasked(tmp_path: Path) -> None:
    """A stack whose key is lost does not begin to sign with another."""
    with pytest.raises(ConfigError, match="WATERFLOW_SIGNING_KEY_FILE"):
        load_keyring(tmp_path / "key")


def _public_key(file: Path) -> str:
    return SigningKey(file.read_text()).public_key
