"""The stack's keys are made by a program of the standard library alone, and read by Waterflow."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from support.projects import CHECKOUT

from waterflow.errors import SignatureError
from waterflow.provenance.signing import Keyring, SigningKey, Statement, key_id_of
from waterflow.provenance.signing_keys import load_keyring

MODEL = Statement("model", "water", "m-1", "ab" * 32)


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, with the volumes of a stack that has started once."""
    spec = importlib.util.spec_from_file_location("stack_keys", CHECKOUT / "docker" / "secrets" / "signing_keys.py")
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    monkeypatch.setattr(program, "ROOT", tmp_path)
    key = program.new_signing_key()
    for consumer in ("admin", "signing"):
        (tmp_path / consumer).mkdir()
        (tmp_path / consumer / "signing_key").write_text(key)
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "public_keys").write_text(program.public_key(key) + "\n")
    return program


def keyring(stack: ModuleType) -> Keyring:
    """Return the keys as a task reads them."""
    return load_keyring(stack.ROOT / "signing" / "signing_key", stack.ROOT / "airflow" / "public_keys")


def test_its_public_keys_are_those_of_ed25519(stack: ModuleType) -> None:
    """The arithmetic of the program agrees with the library's."""
    for _ in range(20):
        key = stack.new_signing_key()
        assert stack.public_key(key) == SigningKey(key).public_key
        assert stack.key_id(stack.public_key(key)) == key_id_of(SigningKey(key).public_key)


def test_a_rotation_keeps_what_was_signed(stack: ModuleType) -> None:
    """Twice rotated, all three keys count."""
    signatures = []
    for _ in range(3):
        signatures.append(keyring(stack).sign(MODEL))
        stack.rotate()
    assert len(set(signatures)) == 3
    for signature in signatures:
        keyring(stack).verify(MODEL, signature)


def test_a_revoked_key_counts_no_more(stack: ModuleType) -> None:
    """The other keys do."""
    leaked = keyring(stack).sign(MODEL)
    stack.rotate()
    kept = keyring(stack).sign(MODEL)
    stack.rotate(leaked.partition(":")[0])
    keyring(stack).verify(MODEL, kept)
    with pytest.raises(SignatureError, match="revoked key"):
        keyring(stack).verify(MODEL, leaked)
    stack.rotate()  # which keeps it revoked
    with pytest.raises(SignatureError, match="revoked key"):
        keyring(stack).verify(MODEL, leaked)


def test_an_unknown_key_is_not_revoked(stack: ModuleType) -> None:
    """Nothing is rotated either."""
    before = keyring(stack).public_keys
    with pytest.raises(SystemExit, match="no key 'abc'; keys are"):
        stack.rotate("abc")
    assert keyring(stack).public_keys == before
