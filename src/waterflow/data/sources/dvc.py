"""Files that DVC tracks: read at a revision of their git repository, pulled from the remote where needed.

DVC runs as a command of its own, in an environment of its own, as git does: its S3 client wants another botocore than
the one that is locked here.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from waterflow.config.schema import DvcSource
from waterflow.data.sources import dvc_reader
from waterflow.data.sources.http import shown
from waterflow.errors import ConfigError, DataError, UnreachableError, first_line

TIMEOUT_SECONDS = 3600
INSTALL = "`make install-dvc` installs it"

# What the last read of each source found in this process: what a branch points to is only known by reading.
_found: dict[DvcSource, dict[str, str]] = {}


def fetch_dvc(source: DvcSource, root: Path, path: Path) -> None:
    """Write the tracked file to `path`; relative repositories start at `root`.

    Raises ConfigError where DVC is not installed or a setting leads nowhere, DataError where there are no such
    data, UnreachableError where the remote does not answer.
    """
    repo = source.repo or "."
    place = repo if is_address(repo) else str(root / repo)
    asked = {
        "repo": place,
        "path": source.path,
        "rev": source.rev,
        "out": str(path),
        "endpoint": os.environ.get("AWS_ENDPOINT_URL_S3") or None,
    }
    answer = _run([str(find_python()), "-I", str(Path(dvc_reader.__file__)), json.dumps(asked)], source)
    if "problem" in answer:
        raise _explained(answer["problem"], answer["detail"], source, shown(place))
    _found[source] = {"revision": answer["revision"], "md5": answer["md5"]}


def facts_of(source: DvcSource) -> dict[str, str]:
    """Give `revision` (a commit, with `-dirty` for other data than the commit's) and `md5` of the last read."""
    return dict(_found.get(source, {}))


def is_address(repo: str) -> bool:
    """Say whether a repository lies elsewhere: a URL, or git's short form `user@host:path`."""
    return "://" in repo or ("@" in repo.partition("/")[0] and ":" in repo)


def find_python(environment: Mapping[str, str] = os.environ) -> Path:
    """Find the Python that DVC's command runs on: that of this environment's `dvc`, or of the one on the PATH."""
    places = [str(Path(sys.executable).parent), environment.get("PATH", "")]
    command = shutil.which("dvc", path=os.pathsep.join(places))
    if command is None:
        raise ConfigError(f"dataset.kind: dvc is not installed; {INSTALL} (docs/how-to/dvc.md)")
    python = Path(command).resolve().with_name("python")
    if not python.exists():
        raise ConfigError(f"dataset.kind: {command} brings no Python of its own that could read for us; {INSTALL}")
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
            f"dataset.path: dvc brought {source.path!r} not within an hour; is the remote up?"
        ) from error
    try:
        return dict(json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError) as error:
        reason = first_line("\n".join(done.stderr.strip().splitlines()[-1:])) or f"exit code {done.returncode}"
        raise DataError(
            f"dataset.path: dvc could not read {source.path!r} ({reason}); try `dvc get` by hand"
        ) from error


def _explained(problem: str, detail: str, source: DvcSource, place: str) -> Exception:
    """Put into one line what was wrong and what to do."""
    at = f"at revision {source.rev!r}" if source.rev else "in the workspace"
    what = f"dataset.path: {source.path!r}"
    match problem:
        case "no repository":
            return ConfigError(f"dataset.repo: {place} is in no DVC repository; run `git init` and `dvc init` there")
        case "no git":
            return ConfigError(
                f"dataset.repo: {place} is in no git repository, so no revision names its data; `git init`"
            )
        case "no clone":
            return UnreachableError(f"dataset.repo: {place} cannot be cloned ({detail}); check address and credentials")
        case "unknown revision":
            return ConfigError(
                f"dataset.rev: {source.rev!r} is no revision of {place}; name a commit, tag or branch that is there"
            )
        case "no file":
            return DataError(f"{what} is not there {at} of {place}; `dvc list -R {place}` shows what is")
        case "not tracked":
            return DataError(f"{what} is not tracked by DVC {at}; `dvc add {source.path}`, or use kind: csv or parquet")
        case "folder":
            return ConfigError(f"{what} is a folder; name one file in it")
        case "no remote":
            return DataError(
                f"{what} is not in the cache {at}, and {place} has no default remote; `dvc remote add -d NAME URL`, "
                "or `dvc push` it from where it is"
            )
        case "not in remote":
            return DataError(
                f"{what} {at} is neither in the cache nor in remote {detail!r}; `dvc push` it from where it is"
            )
        case "altered":
            return DataError(
                f"{what} {at}: the bytes in cache or remote were altered or cut short ({detail}); `dvc push` again"
            )
        case "unreachable":
            return UnreachableError(f"{what}: the remote does not answer ({detail}); is it up?")
    return DataError(f"{what}: dvc could not read it {at} ({detail}); check the remote and its credentials")
