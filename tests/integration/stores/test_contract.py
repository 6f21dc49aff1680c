"""What every object store keeps to, tried on each of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.projects import message_of
from support.s3_server import Backend

from waterflow.errors import StoreError
from waterflow.records.data import Blob
from waterflow.stores.base import blob_key, find_problem, get_file, get_json, put_file, put_json


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a small file."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"twelve bytes")
    return path


def test_what_is_put_can_be_fetched(backend: Backend, file: Path, tmp_path: Path) -> None:
    """The bytes come back, under the name of their digest."""
    blob = put_file(backend.store, file)
    assert get_file(backend.store, blob, tmp_path / "back").read_bytes() == b"twelve bytes"
    assert blob.key == f"blobs/{blob.digest[:2]}/{blob.digest}"
    assert blob.size_bytes == 12


def test_the_same_bytes_have_one_object(backend: Backend, file: Path) -> None:
    """Putting twice is the same as putting once."""
    assert put_file(backend.store, file) == put_file(backend.store, file)


def test_an_object_is_not_overwritten(backend: Backend, file: Path, tmp_path: Path) -> None:
    """What is there stays, whatever a later upload holds."""
    backend.store.upload("key", file)
    file.write_bytes(b"other bytes!")
    backend.store.upload("key", file)
    backend.store.download("key", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"twelve bytes"


def test_an_object_is_there_after_its_upload_and_not_before(backend: Backend, file: Path) -> None:
    """`exists` tells the one from the other."""
    assert not backend.store.exists("some/key")
    backend.store.upload("some/key", file)
    assert backend.store.exists("some/key")


def test_json_is_stored_in_one_form(backend: Backend, tmp_path: Path) -> None:
    """The order of keys does not make another object."""
    first = put_json(backend.store, {"b": 1, "a": "ü"}, tmp_path)
    assert put_json(backend.store, {"a": "ü", "b": 1}, tmp_path) == first
    assert get_json(backend.store, first, tmp_path) == {"a": "ü", "b": 1}


def test_a_large_object_comes_back_whole(backend: Backend, tmp_path: Path) -> None:
    """More than one part of a multipart upload is one object all the same."""
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(range(256)) * 4096 * 20)
    blob = put_file(backend.store, path)
    assert get_file(backend.store, blob, tmp_path / "back").stat().st_size == 20 * 2**20


@pytest.mark.parametrize("content", [b"twelve bytez", b"twelve", b""])
def test_an_altered_object_is_named(backend: Backend, file: Path, tmp_path: Path, content: bytes) -> None:
    """Bytes that are not those of the digest are never believed."""
    blob = put_file(backend.store, file)
    backend.overwrite(blob.key, content)
    message = message_of(lambda: get_file(backend.store, blob, tmp_path / "back"), StoreError)
    assert f"{backend.store.uri}/{blob.key}" in message
    assert "altered or cut short" in message


def test_a_removed_object_is_named(backend: Backend, file: Path, tmp_path: Path) -> None:
    """The message has the object's address."""
    blob = put_file(backend.store, file)
    backend.remove(blob.key)
    message = message_of(lambda: get_file(backend.store, blob, tmp_path / "back"), StoreError)
    assert f"{backend.store.uri}/{blob.key}: no such object" in message


def test_an_object_that_never_was_is_named(backend: Backend, tmp_path: Path) -> None:
    """A record of another store leads nowhere, and says so."""
    blob = Blob(key="blobs/00/0000", digest="0000", size_bytes=1)
    message = message_of(lambda: get_file(backend.store, blob, tmp_path / "back"), StoreError)
    assert "belongs to another store" in message


def test_a_listing_has_what_was_stored(backend: Backend, file: Path) -> None:
    """Key, size and time of each object, below a prefix or all."""
    for key in ("blobs/ab/abc", "blobs/ac/acd", "other/abc"):
        backend.store.upload(key, file)
    assert {entry.key for entry in backend.store.list_keys()} == {"blobs/ab/abc", "blobs/ac/acd", "other/abc"}
    (entry,) = backend.store.list_keys("blobs/ab")
    assert (entry.key, entry.size_bytes) == ("blobs/ab/abc", 12)
    assert abs(datetime.now(UTC) - entry.modified) < timedelta(minutes=1)


def test_an_empty_store_lists_nothing(backend: Backend) -> None:
    """A prefix that nothing has is no error."""
    assert list(backend.store.list_keys("blobs/")) == []


def test_a_deleted_object_is_gone_and_can_be_stored_again(backend: Backend, file: Path, tmp_path: Path) -> None:
    """Nothing remembers it."""
    blob = put_file(backend.store, file)
    backend.store.delete(blob.key)
    assert not backend.store.exists(blob.key)
    assert list(backend.store.list_keys()) == []
    assert get_file(backend.store, put_file(backend.store, file), tmp_path / "back").read_bytes() == b"twelve bytes"


def test_deleting_what_is_not_there_is_no_error(backend: Backend) -> None:
    """Two collectors may meet."""
    backend.store.delete("blobs/ab/abc")


@pytest.mark.parametrize("damaged", [b"twelve byte", b"twelve bytes, and more", b"Twelve bytes", b""])
def test_a_damaged_blob_is_made_good_when_it_is_put_again(backend: Backend, file: Path, damaged: bytes) -> None:
    """Only what no longer has the bytes of its name is overwritten."""
    blob = put_file(backend.store, file)
    assert find_problem(backend.store, blob) is None
    other = file.with_name("damaged")
    other.write_bytes(damaged)
    backend.store.upload(blob.key, other, replace=True)
    assert find_problem(backend.store, blob) == "its bytes were altered or cut short"
    assert put_file(backend.store, file) == blob
    assert find_problem(backend.store, blob) is None


def test_a_blob_that_is_not_there_is_gone(backend: Backend) -> None:
    """And that is no error."""
    digest = "0" * 64
    assert find_problem(backend.store, Blob(key=blob_key(digest), digest=digest, size_bytes=1)) == "it is gone"
