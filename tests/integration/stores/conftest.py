"""Both object stores, each a real one: a folder, and an S3 server that runs as a process of the test session."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.s3_server import BUCKET, Backend, s3_client, s3_server

from waterflow.stores.folder import FolderStore
from waterflow.stores.s3 import S3Store


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Yield the port of an S3 server with one empty bucket."""
    with s3_server(tmp_path_factory.mktemp("seaweedfs")) as port:
        yield port


@pytest.fixture(params=["folder", "s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    """Return both stores, empty, one after the other."""
    if request.param == "folder":
        root = tmp_path / "objects"
        return Backend(FolderStore(root), root=root)
    client = s3_client(request.getfixturevalue("s3_port"))
    prefix = tmp_path.name
    return Backend(S3Store(f"s3://{BUCKET}/{prefix}", client), client=client, prefix=f"{prefix}/")
