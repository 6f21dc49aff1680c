"""Files tracked by DVC, at a git revision.

The revision is one of the repository that tracks them. DVC runs as a subprocess in an environment of its own: its S3
client needs another botocore than the one locked here.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from waterflow.config.schema import DvcSource
from waterflow.data.sources import dvc_reader
from waterflow.data.sources.facts import hide_credentials
from waterflow.data.sources.files import FileRows, parse_file
from waterflow.errors import ConfigError, DataError, UnreachableError, WaterflowError, first_line

TIMEOUT_SECONDS = 3600
INSTALL = "`make install-dvc` installs it"
PROBLEMS: dict[str, tuple[type[WaterflowError], str]] = {
    "no repository": (
        ConfigError,
        "dataset.repo: {place} is not in a DVC repository; run `git init` and `dvc init` there",
    ),
    "no git": (
        ConfigError,
        "dataset.repo: {place} is not in a git repository, so its data has no revision; run `git init`",
    ),
    "no clone": (
        UnreachableError,
        "dataset.repo: {place} cannot be cloned ({detail}); check address and credentials",
    ),
    "unknown revision": (
        ConfigError,
        "dataset.rev: {rev!r} is no revision of {place}; name a commit, tag or branch of it",
    ),
    "no file": (
        DataError,
        "dataset.path: {path!r} is not there {at} of {place}; `dvc list -R {place}` lists what is",
    ),
    "not tracked": (
        DataError,
        "dataset.path: {path!r} is not tracked by DVC {at}; run `dvc add {path}`, or use kind: csv or parquet",
    ),
    "folder": (ConfigError, "dataset.path: {path!r} is a folder; name one file in it"),
    "no remote": (
        DataError,
        "dataset.path: {path!r} is not in the cache {at}, and {place} has no default remote; run "
        "`dvc remote add -d NAME URL`, or `dvc push` where the data is",
    ),
    "not in remote": (
        DataError,
        "dataset.path: {path!r} {at} is neither in the cache nor in remote {detail!r}; "
        "run `dvc push` where the data is",
    ),
    "altered": (
        DataError,
        "dataset.path: {path!r} {at}: the bytes in cache or remote were altered or cut short ({detail}); "
        "run `dvc push` again from a good copy",
    ),
    "unreachable": (UnreachableError, "dataset.path: {path!r}: the remote does not answer ({detail}); is it up?"),
}
UNKNOWN_PROBLEM = "dataset.path: {path!r}: dvc could not read it {at} ({detail}); check the remote and its credentials"


class DvcVersion(NamedTuple):
    """The commit and md5 of a file that was read. The commit ends in `-dirty` for other data than the commit's."""

    revision: str
    md5: str


def read_dvc(source: DvcSource, root: Path) -> tuple[FileRows, DvcVersion]:
    """Return a tracked file's rows and the version read."""
    with tempfile.TemporaryDirectory(prefix="waterflow-") as folder:
        path = Path(folder) / Path(source.path).name
        version = fetch_dvc(source, root, path)
        return parse_file(path, source), version


def fetch_dvc(source: DvcSource, root: Path, path: Path) -> DvcVersion:
    """Write the tracked file to `path`.

    Relative repositories start at `root`. Pulls from the remote where needed. Raises ConfigError without DVC or on a
    wrong setting, DataError without such data, UnreachableError when the remote does not answer.
    """
    repo = source.repo or "."
    place = repo if is_address(repo) else str(root / repo)
    request = {
        "repo": place,
        "path": source.path,
        "rev": source.rev,
        "out": str(path),
        "endpoint": os.environ.get("AWS_ENDPOINT_URL_S3") or None,
    }
    answer = _run([str(find_python()), "-I", str(Path(dvc_reader.__file__)), json.dumps(request)], source)
    if "problem" in answer:
        raise _explain(answer["problem"], answer["detail"], source, hide_credentials(place))
    return DvcVersion(answer["revision"], answer["md5"])


def is_address(repo: str) -> bool:
    """Return whether a repository is remote. It is if it is a URL, or git's short form `user@host:path`."""
    return "://" in repo or ("@" in repo.partition("/")[0] and ":" in repo)


def find_python(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the Python of this environment's `dvc`. Without it, the Python of the `dvc` on the PATH."""
    places = [str(Path(sys.executable).parent), environment.get("PATH", "")]
    command = shutil.which("dvc", path=os.pathsep.join(places))
    if command is None:
        raise ConfigError(f"dataset.kind: dvc is not installed; {INSTALL} (docs/how-to/dvc.md)")
    python = Path(command).resolve().with_name("python")
    if not python.exists():
        raise ConfigError(f"dataset.kind: {command} has no Python beside it, which is needed to read data; {INSTALL}")
    return python


def _run(command: list[str], source: DvcSource) -> dict[str, str]:
    variables = os.environ | {"DVC_NO_ANALYTICS": "1"}
    keys = os.environ.get("WATERFLOW_DVC_CREDENTIALS_FILE")
    if keys:
        variables["AWS_SHARED_CREDENTIALS_FILE"] = keys
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=variables, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise UnreachableError(
            f"dataset.path: dvc did not fetch {source.path!r} within an hour; is the remote up?"
        ) from error
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError) as error:
        reason = first_line("\n".join(done.stderr.strip().splitlines()[-1:])) or f"exit code {done.returncode}"
        raise DataError(
            f"dataset.path: dvc could not read {source.path!r} ({reason}); run `dvc get` to see why"
        ) from error


def _explain(problem: str, detail: str, source: DvcSource, place: str) -> WaterflowError:
    """Return the error for a problem that the reader reports."""
    kind, text = PROBLEMS.get(problem, (DataError, UNKNOWN_PROBLEM))
    at = f"at revision {source.rev!r}" if source.rev else "in the workspace"
    return kind(text.format(path=source.path, rev=source.rev, at=at, place=place, detail=detail))
