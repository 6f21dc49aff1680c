"""The program that reads a file of a DVC repository.

DVC's Python runs it; it imports nothing from Waterflow. Its argument is a JSON object: `repo` (a URL, or a path that
may be below the repository's root), `path` (relative to it), `rev` or null for the workspace, `out` (the file to write)
and `endpoint` or null. Its last line of output is a JSON object: `revision`, `md5` and `dvc`, or `problem` with its
`detail`.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

NO_REMOTE = "auto-generated-upstream"  # DVC's name for the cache where there is no remote
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ProblemError(Exception):
    """A file that cannot be read. The error carries a problem that the caller knows by name, and details."""


def main() -> None:
    """Read the file, and print its version or the problem."""
    request = json.loads(sys.argv[1])
    try:
        answer = read(**request)
    except ProblemError as problem:
        answer = {"problem": problem.args[0], "detail": problem.args[1]}
    print(json.dumps(answer))


def read(repo: str, path: str, rev: str | None, out: str, endpoint: str | None) -> dict[str, str]:
    """Write the file to `out`. Return its revision and md5."""
    import dvc

    root = find_root(repo)
    if root and rev is None and is_sealed(root):
        rev = "HEAD"
    inside = os.path.relpath(Path(repo, path), root) if root else path
    if root:
        accept_any_owner()
    files = open_repository(root or repo, rev, endpoint)
    expected = tracked_md5(files, inside, rev)
    fetch(files, inside, out)
    md5 = md5_of(out)
    if rev is not None and expected not in (None, md5):
        raise ProblemError("altered", f"md5 {md5}, expected {expected}")
    return {"revision": revision_of(files, root or repo, inside, rev, md5), "md5": md5, "dvc": dvc.__version__}


def find_root(repo: str) -> str | None:
    """Return the root of a folder's DVC repository. None for a URL."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    if "://" in repo or (not Path(repo).exists() and "@" in repo):
        return None
    try:
        return str(Repo.find_root(repo))
    except NotDvcRepoError as error:
        raise ProblemError("no repository", str(error)) from error


def accept_any_owner() -> None:
    """Accept a repository of another user. It may be a mounted checkout, and it is only read."""
    import pygit2

    pygit2.settings.owner_validation = False


def is_sealed(root: str) -> bool:
    """Return whether DVC cannot open the workspace. This is so where it was never used and cannot write locks."""
    folder = Path(root, ".dvc")
    return not (folder / "tmp").is_dir() and not os.access(folder, os.W_OK)


def open_repository(repo: str, rev: str | None, endpoint: str | None) -> Any:
    """Open the repository's files at a revision. A URL is cloned."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.scm import CloneError, RevError, SCMError

    try:
        is_here, settings = Path(repo).is_dir(), settings_of(repo, endpoint)
        files = DVCFileSystem(repo=Repo(repo, rev=rev, config=settings)) if is_here else DVCFileSystem(repo, rev=rev)
        if type(files.repo.scm).__name__ == "NoSCM":
            raise ProblemError("no git", repo)
        return files
    except RevError as error:
        raise ProblemError("unknown revision", str(error)) from error
    except CloneError as error:
        raise ProblemError("no clone", first_line(error.__cause__ or error)) from error
    except SCMError as error:
        raise ProblemError("no git", first_line(error)) from error
    except DvcException as error:
        raise ProblemError("refused", first_line(error)) from error


def settings_of(repo: str, endpoint: str | None) -> dict[str, Any]:
    """Return settings that apply today's default remote to every revision.

    The default remote is the repository's present one. `endpoint` replaces a loopback address, which a container cannot
    reach.
    """
    from dvc.config import Config

    if not Path(repo).is_dir():
        return {}
    settings = Config(str(Path(repo, ".dvc")))
    name = settings["core"].get("remote")
    remote = dict(settings["remote"].get(name, {}))
    if endpoint and urlsplit(remote.get("endpointurl", "")).hostname in LOOPBACK:
        remote["endpointurl"] = endpoint
    return {"core": {"remote": name}, "remote": {name: remote}} if remote else {}


def tracked_md5(files: Any, path: str, rev: str | None) -> str | None:
    """Return the md5 that DVC has recorded for a file. None for another kind of hash."""
    try:
        found = files.info(path)
    except FileNotFoundError as error:
        raise ProblemError("no file", path) from error
    recorded = found.get("dvc_info")
    if recorded is None or not recorded.get("isout", True):
        raise ProblemError("not tracked", path)
    if found["type"] == "directory":
        raise ProblemError("folder", path)
    kind = getattr(getattr(recorded.get("entry"), "hash_info", None), "name", "")
    return recorded.get("md5") if kind == "md5" else None


def fetch(files: Any, path: str, out: str) -> None:
    """Copy the file from workspace, cache or remote."""
    try:
        files.get_file(path, out)
    except FileNotFoundError as error:
        remote = files.repo.config["core"].get("remote")
        has_one = remote not in (None, NO_REMOTE)
        raise ProblemError("not in remote" if has_one else "no remote", str(remote)) from error
    except Exception as error:  # remotes' clients raise their own
        kind = "unreachable" if is_connection(error) else "refused"
        raise ProblemError(kind, f"{type(error).__name__}: {first_line(error)}") from error


def is_connection(error: BaseException | None) -> bool:
    """Return whether an error comes from an unreachable server. Such a server does not answer."""
    if error is None:
        return False
    names = {kind.__name__ for kind in type(error).__mro__}
    known = {"ConnectionError", "TimeoutError", "HTTPClientError", "EndpointConnectionError", "ClientConnectionError"}
    return bool(names & known) or is_connection(error.__cause__)


def revision_of(files: Any, repo: str, path: str, rev: str | None, md5: str) -> str:
    """Return the commit. It ends in `-dirty` where the workspace's file differs from the commit's."""
    from dvc.scm import RevError, SCMError

    try:
        commit = str(files.repo.get_rev())
        if rev is not None:
            return commit
        committed = open_repository(repo, commit, None).info(path).get("md5")
    except (RevError, SCMError):
        return "uncommitted"
    except FileNotFoundError:
        committed = None
    return commit if committed == md5 else f"{commit}-dirty"


def md5_of(path: str) -> str:
    """Hash a file as DVC does."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def first_line(error: object) -> str:
    """Return the first line of an error's message."""
    return (str(error).strip().splitlines() or [""])[0]


if __name__ == "__main__":
    main()
