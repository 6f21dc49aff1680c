from pathlib import Path

import pytest
from support.projects import free_port, message_of
from support.s3_server import BUCKET, s3_client

from waterflow.errors import StoreError, UnreachableError
from waterflow.stores.s3 import S3Store


def test_a_missing_bucket_is_named(s3_port: int, tmp_path: Path) -> None:
    """The message says what makes the bucket."""
    store = S3Store("s3://nowhere", s3_client(s3_port))
    message = message_of(lambda: store.download("key", tmp_path / "back"), StoreError)
    assert message.startswith("s3://nowhere")


def test_an_upload_into_a_missing_bucket_is_refused(s3_port: int, tmp_path: Path) -> None:
    """No bucket comes into being by a stray upload."""
    (tmp_path / "file").write_text("x")
    store = S3Store("s3://nowhere", s3_client(s3_port))
    message = message_of(lambda: store.upload("key", tmp_path / "file"), StoreError)
    assert "the bucket does not exist" in message


def test_a_server_that_does_not_answer_is_worth_a_retry(tmp_path: Path) -> None:
    """Nothing listens on the port."""
    store = S3Store(f"s3://{BUCKET}", s3_client(free_port()))
    (tmp_path / "file").write_text("x")
    for call in (
        lambda: store.exists("key"),
        lambda: store.upload("key", tmp_path / "file"),
        lambda: store.download("key", tmp_path / "back"),
    ):
        assert "does not answer" in message_of(call, UnreachableError)


def test_wrong_credentials_are_refused_for_good(s3_port: int, tmp_path: Path) -> None:
    """A retry with the same key would be refused again."""
    store = S3Store(f"s3://{BUCKET}", s3_client(s3_port, secret="wrong"))
    message = message_of(lambda: store.download("key", tmp_path / "back"), StoreError)
    assert "check the S3 credentials" in message
    assert "wrong" not in message


def test_keys_of_two_prefixes_do_not_meet(s3_port: int, tmp_path: Path) -> None:
    """One bucket holds the objects of several stores."""
    (tmp_path / "file").write_text("x")
    here, there = (S3Store(f"s3://{BUCKET}/{name}/", s3_client(s3_port)) for name in ("here", "there"))
    here.upload("key", tmp_path / "file")
    assert here.exists("key")
    assert not there.exists("key")


@pytest.mark.parametrize("uri", ["s3://waterflow", "s3://waterflow/a/b"])
def test_a_store_shows_its_address(uri: str) -> None:
    """Nothing is sent before the first call."""
    assert S3Store(uri, object()).uri == uri


def test_a_long_listing_comes_whole(s3_port: int, tmp_path: Path) -> None:
    """A page of an answer holds 1,000 keys at most."""
    client = s3_client(s3_port)
    for number in range(1003):
        client.put_object(Bucket=BUCKET, Key=f"{tmp_path.name}/{number}", Body=b"x")
    assert len(list(S3Store(f"s3://{BUCKET}/{tmp_path.name}", client).list_keys())) == 1003
