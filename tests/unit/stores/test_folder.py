import os
import time
from pathlib import Path

import pytest
from support.projects import message_of

from waterflow.errors import ConfigError, StoreError
from waterflow.stores.folder import FolderStore
from waterflow.stores.open import open_store


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """The message says what to do about it."""
    (tmp_path / "file").touch()
    message = message_of(lambda: FolderStore(tmp_path / "file" / "store"), StoreError)
    assert repr(str(tmp_path / "file" / "store")) in message
    assert "WATERFLOW_HOME" in message


def test_an_object_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """What fails later than at the start is one line too."""
    store = FolderStore(tmp_path / "store")
    (tmp_path / "store" / "blobs").touch()
    (tmp_path / "content").touch()
    message = message_of(lambda: store.upload("blobs/ab/abc", tmp_path / "content"), StoreError)
    assert "cannot be written" in message


def test_an_upload_leaves_nothing_half_written(tmp_path: Path) -> None:
    """Only whole objects lie in the folder."""
    (tmp_path / "content").write_text("x")
    FolderStore(tmp_path / "store").upload("a/b", tmp_path / "content")
    assert [path.name for path in (tmp_path / "store").rglob("*") if path.is_file()] == ["b"]


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_path_opens_a_folder(tmp_path: Path, form: str) -> None:
    """A path and its URI are the same store."""
    assert open_store(form.format(tmp_path / "store")).uri == (tmp_path / "store").as_uri()


def test_an_unknown_scheme_is_refused_with_the_valid_ones() -> None:
    """Two kinds of stores exist."""
    message = message_of(lambda: open_store("gs://bucket"), ConfigError)
    assert "'gs://bucket' is not supported; valid: a folder, file://… or s3://bucket" in message


def test_an_object_that_is_stored_again_counts_as_new(tmp_path: Path) -> None:
    """A run under way may rely on an old object that nobody else names any more."""
    store = FolderStore(tmp_path / "store")
    (tmp_path / "content").write_text("x")
    store.upload("a/b", tmp_path / "content")
    os.utime(tmp_path / "store" / "a" / "b", (0, 0))
    store.upload("a/b", tmp_path / "content")
    (entry,) = store.list_keys()
    assert time.time() - entry.modified.timestamp() < 60
