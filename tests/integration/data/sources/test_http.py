import gzip
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pandas as pd
import pytest
from support.projects import free_port, message_of
from support.s3_server import BUCKET, KEY, SECRET, s3_client, s3_server

from waterflow.config.project import Project
from waterflow.config.schema import CsvSource, ParquetSource
from waterflow.data.sources.facts import describe_source, hide_credentials
from waterflow.data.sources.reading import read_source
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError, DataError, StoreError, UnreachableError
from waterflow.stores.open import copy_object

ROWS = iris().to_csv(index=False).encode()
PACKED = gzip.compress(ROWS)


class Files(BaseHTTPRequestHandler):
    """A web server with a file, a refusal, a failure and a connection that breaks off."""

    def do_GET(self) -> None:
        """Answer by the path."""
        path = self.path.partition("?")[0]
        content = PACKED if path.endswith(".gz") else ROWS
        self.send_response({"/private.csv": 403, "/busy.csv": 503, "/none.csv": 404}.get(path, 200))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:100] if path == "/short.csv" else content)

    def log_message(self, *words: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Return the address of a web server on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of an S3 server that holds the irises as Parquet."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    with s3_server(folder) as port:
        iris().to_parquet(folder / "iris.parquet")
        s3_client(port).upload_file(str(folder / "iris.parquet"), BUCKET, "raw/iris.parquet")
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def credentials(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say endpoint and key the way the stack does: a variable, and a file in AWS's format."""
    path = tmp_path / "aws_credentials"
    path.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {SECRET}\n")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", bucket)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(path))
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv?page=1", "rows.csv.gz"])
def test_a_csv_is_read_over_http(site: str, project: Project, name: str) -> None:
    """The rows are those of the file, packed or not."""
    frame = read_source(CsvSource(kind="csv", path=f"http://{site}/{name}"), project, copy_object).frame
    pd.testing.assert_frame_equal(frame, iris())


@pytest.mark.parametrize(
    ("path", "kind", "reason"),
    [
        ("none.csv", DataError, "the server answers 404"),
        ("private.csv", DataError, "refuses with status 403"),
        ("busy.csv", UnreachableError, "the server answers 503"),
        ("short.csv", UnreachableError, "does not answer"),
    ],
)
def test_an_answer_without_the_file_is_one_line(
    site: str, project: Project, path: str, kind: type[Exception], reason: str
) -> None:
    """What may work later is worth a retry, what was refused is not; a file cut short is no file."""
    source = CsvSource(kind="csv", path=f"http://{site}/{path}")
    message = message_of(lambda: read_source(source, project, copy_object), kind)
    assert reason in message
    assert f"http://{site}/{path}" in message


def test_a_web_server_that_is_not_there_is_one_line(project: Project) -> None:
    """The same task may work in a while."""
    source = ParquetSource(kind="parquet", path=f"http://127.0.0.1:{free_port()}/rows.parquet")
    assert "is it up?" in message_of(lambda: read_source(source, project, copy_object), UnreachableError)


def test_a_signed_link_and_a_password_are_not_hide_credentials(site: str, project: Project) -> None:
    """Neither in an error nor where the source is described."""
    source = CsvSource(kind="csv", path=f"http://me:open-sesame@{site}/private.csv?signature=open-sesame")
    message = message_of(lambda: read_source(source, project, copy_object), DataError)
    assert "sesame" not in message + describe_source(source)


@pytest.mark.parametrize("password", ["plain", "with@sign", "with/slash"])
def test_an_address_is_shown_without_its_password(password: str) -> None:
    """Also where its writer forgot to encode a character."""
    assert hide_credentials(f"https://me:{password}@host.example/a.csv") == "https://host.example/a.csv"


def test_an_address_of_another_kind_is_refused(project: Project) -> None:
    """The line lists what is read."""
    source = CsvSource(kind="csv", path="ftp://host/rows.csv")
    message = message_of(lambda: read_source(source, project, copy_object), ConfigError)
    assert "valid: a path, s3://…, https://…, http://…" in message


@pytest.mark.usefixtures("credentials")
def test_a_parquet_file_is_read_from_a_bucket(project: Project) -> None:
    """By the endpoint and the key that the object store has."""
    source = ParquetSource(kind="parquet", path=f"s3://{BUCKET}/raw/iris.parquet")
    pd.testing.assert_frame_equal(read_source(source, project, copy_object).frame, iris())


@pytest.mark.usefixtures("credentials")
@pytest.mark.parametrize(
    ("path", "reason"),
    [("s3://waterflow/raw/none.parquet", "no such object"), ("s3://nowhere/iris.parquet", "the bucket does not exist")],
)
def test_an_object_that_is_not_there_is_one_line(project: Project, path: str, reason: str) -> None:
    """The address is in it."""
    source = ParquetSource(kind="parquet", path=path)
    message = message_of(lambda: read_source(source, project, copy_object), StoreError)
    assert reason in message
    assert path.rpartition("/")[0].partition("/raw")[0] in message


def test_a_bucket_without_a_key_is_refused(project: Project) -> None:
    """The line shows how an address is written."""
    source = ParquetSource(kind="parquet", path="s3://waterflow")
    message = message_of(lambda: read_source(source, project, copy_object), ConfigError)
    assert "s3://bucket/folder/file.parquet" in message
