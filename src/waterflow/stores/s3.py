"""An object store in an S3 bucket, such as MinIO's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from waterflow.errors import StoreError, UnreachableError, WaterflowError
from waterflow.stores.base import Entry
from waterflow.system_errors import TABLE
from waterflow.waiting import announced

# Older servers refuse the checksums that newer clients send by default.
_CLIENT = Config(
    retries={"mode": "standard", "max_attempts": 5},
    connect_timeout=5,
    read_timeout=60,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class S3Store:
    """Objects below `s3://bucket/prefix`. Endpoint and keys come from AWS's own files and variables."""

    def __init__(self, uri: str, client: Any = None) -> None:
        """Keep an address such as `s3://waterflow`. Nothing is sent before the first call."""
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._client = client or boto3.client("s3", config=_CLIENT)

    @property
    def uri(self) -> str:
        """The bucket and prefix as `s3://…`."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def exists(self, key: str) -> bool:
        """Return whether the server has the object's head."""
        try:
            with self._translated(key):
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except StoreError as error:
            if _code(error.__cause__) in ("404", "NoSuchKey", "NotFound"):
                return False
            raise
        return True

    def upload(self, key: str, path: Path, *, replace: bool = False) -> None:
        """Upload the file, unless the object exists and stays. A large file is sent in parts."""
        if not replace and self.exists(key):
            return
        with self._translated(key):
            self._client.upload_file(str(path), self._bucket, self._prefix + key)

    def download(self, key: str, path: Path) -> None:
        """Fetch the object into `path`."""
        with self._translated(key):
            self._client.download_file(self._bucket, self._prefix + key, str(path))

    def list_keys(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the listing page by page."""
        with self._translated(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix + prefix
            )
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield Entry(entry["Key"].removeprefix(self._prefix), entry["Size"], entry["LastModified"])

    def delete(self, key: str) -> None:
        """Delete the object. A bucket with versions keeps its bytes for as long as its rules say."""
        with self._translated(key):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    @contextmanager
    def _translated(self, key: str) -> Iterator[None]:
        try:
            with announced(f"the object store {self.uri}"):
                yield
        except (NoConnection, HTTPClientError) as error:
            raise UnreachableError(
                f"{self.uri}: the object store does not answer ({_short(error)}); is it up?"
            ) from error
        except ClientError as error:
            raise self._refused(key, error) from error
        except (BotoCoreError, boto3.exceptions.Boto3Error) as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, ClientError):
                raise self._refused(key, cause) from cause
            raise StoreError(f"{self.uri}/{key}: {_short(error)}; check the S3 endpoint and credentials") from error

    def _refused(self, key: str, error: ClientError) -> WaterflowError:
        code = _code(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code == "NoSuchBucket":
            return StoreError(f"{self.uri}: the bucket does not exist; `docker compose up minio-setup` makes it again")
        if code in ("404", "NoSuchKey", "NotFound"):
            return StoreError(f"{self.uri}/{key}: no such object; it was removed, or belongs to another store")
        if status >= 500 or code in ("SlowDown", "RequestTimeout", "InternalError"):
            return UnreachableError(f"{self.uri}: the object store answers {status} ({code}); try again later")
        if known := TABLE.get(code):
            return known.kind(f"{self.uri}/{key}: {known.happened} ({code}); {known.remedy}")
        return StoreError(f"{self.uri}/{key}: refused with {code}; check the S3 credentials and the bucket's policy")


def _code(error: BaseException | None) -> str:
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def _short(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
