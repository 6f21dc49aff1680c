"""Choosing the store behind an address."""

from pathlib import Path

from waterflow.errors import ConfigError
from waterflow.stores.base import ObjectStore
from waterflow.stores.folder import FolderStore


def open_store(uri: str) -> ObjectStore:
    """Open `s3://bucket/prefix` or a folder (a path or `file://…`); raises ConfigError for other schemes."""
    if uri.startswith("s3://"):
        from waterflow.stores.s3 import (
            S3Store,
        )  # boto3 takes a while to import, and a folder needs none of it

        return S3Store(uri)
    if "://" in uri and not uri.startswith("file://"):
        raise ConfigError(f"profile.store_uri: {uri!r} is not supported; valid: a folder, file://… or s3://bucket")
    return FolderStore(Path(uri.removeprefix("file://")).resolve())
