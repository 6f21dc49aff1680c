"""A real S3 server for tests, and a way to reach a store's objects behind its back."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from support.projects import free_ports, stop, wait_for
from waterflow.stores.base import ObjectStore

KEY, SECRET = "waterflow-test", "waterflow-test-secret"
BUCKET = "waterflow"


@dataclass(frozen=True)
class Backend:
    """A store, and a way to reach its objects behind its back."""

    store: ObjectStore
    client: Any = None
    root: Path | None = None
    prefix: str = ""

    def overwrite(self, key: str, content: bytes) -> None:
        """Alter an object as nobody should."""
        if self.root is not None:
            (self.root / key).write_bytes(content)
        else:
            self.client.put_object(Bucket=BUCKET, Key=self.prefix + key, Body=content)

    def remove(self, key: str) -> None:
        """Remove an object as nobody should."""
        if self.root is not None:
            (self.root / key).unlink()
        else:
            self.client.delete_object(Bucket=BUCKET, Key=self.prefix + key)


def s3_client(port: int, secret: str = SECRET) -> Any:
    """Connect to the server of this test session, as the store itself does."""
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=KEY,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 1}, connect_timeout=2, request_checksum_calculation="when_required"),
    )


@contextmanager
def s3_server(folder: Path) -> Iterator[int]:
    """Start a SeaweedFS with one key and one bucket, and return its port; every port is on the loopback."""
    actions = ["Admin", "Read", "List", "Tagging", "Write"]
    credentials = [{"accessKey": KEY, "secretKey": SECRET}]
    identities = {"identities": [{"name": "test", "credentials": credentials, "actions": actions}]}
    (folder / "s3.json").write_text(json.dumps(identities))
    s3, *others = free_ports(8)
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    command = [
        str(Path(sys.executable).parent / "weed"),
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-filer",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.port.grpc={others[6]}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.ip.bind=127.0.0.1",
        "-s3.autoCreateBucket=false",
        "-s3.iam=false",
        f"-s3.config={folder / 's3.json'}",
        *(f"-{name}={port}" for name, port in zip(names, others[:6], strict=True)),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=os.environ | {"HOME": str(folder)})
        try:
            wait_for(f"http://127.0.0.1:{s3}/healthz", process)
            s3_client(s3).create_bucket(Bucket=BUCKET)
            yield s3
        finally:
            stop(process, grace_seconds=0.5)  # it waits long for connections that nobody uses any more
