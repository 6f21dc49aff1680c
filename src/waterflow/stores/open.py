"""Stores by their addresses."""

from pathlib import Path
from urllib.parse import unquote

from waterflow.errors import ConfigError
from waterflow.stores.base import ObjectStore
from waterflow.stores.folder import FolderStore


def copy_object(uri: str, path: Path) -> None:
    """Write the object `s3://bucket/key` to `path`. Raises ConfigError without a key, else what stores raise."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise ConfigError(f"dataset.path: {uri!r} names no object; write it like s3://bucket/folder/file.parquet")
    open_store(f"s3://{bucket}").download(key, path)


def open_store(uri: str) -> ObjectStore:
    """Open `s3://bucket/prefix` or a folder (a path or `file://…`). Raises ConfigError for other schemes."""
    if uri.startswith("s3://"):
        from waterflow.stores.s3 import S3Store  # boto3

        return S3Store(uri)
    if "://" in uri and not uri.startswith("file://"):
        raise ConfigError(f"profile.store_uri: {uri!r} is not supported; valid: a folder, file://… or s3://bucket")
    path = unquote(uri.removeprefix("file://")) if uri.startswith("file://") else uri
    return FolderStore(Path(path).resolve())
