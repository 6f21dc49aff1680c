"""The code of another commit, in a work tree of its own."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from waterflow.errors import ReproduceError
from waterflow.provenance.git import run_git

HASH = re.compile("[0-9a-f]{7,64}")


def has_commit(root: Path, commit: str) -> bool | None:
    """Say whether a commit is in a checkout; None where there is no checkout, or no git to ask."""
    if find_top(root) is None:
        return None
    if not HASH.fullmatch(commit):  # a record may say anything, and git would take some of it for options
        return False
    try:
        run_git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def find_top(root: Path) -> Path | None:
    """Give the folder that a checkout begins with; None without one."""
    try:
        return Path(run_git(root, "rev-parse", "--show-toplevel").decode().strip())
    except (OSError, subprocess.SubprocessError):
        return None


def check_out(root: Path, commit: str, diff: Path | None, folder: Path) -> None:
    """Fill `folder` with the files of a commit, and with what was not committed then.

    It becomes a repository that borrows the objects of the checkout at `root`: unlike `git worktree add` it writes
    nothing there, for a container sees the checkout read-only, and leaves nothing behind when the process is killed.
    Raises ReproduceError when the commit is not there, or the diff does not apply.
    """
    try:
        objects = root / run_git(root, "rev-parse", "--git-path", "objects").decode().strip()
        folder.mkdir(parents=True, exist_ok=True)
        run_git(folder, "init", "--quiet")
        (folder / ".git" / "objects" / "info" / "alternates").write_text(f"{objects.resolve()}\n", "utf-8")
        run_git(folder, "checkout", "--quiet", "--detach", commit)
        if diff is not None and diff.stat().st_size:
            run_git(folder, "apply", "--whitespace=nowarn", str(diff))
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip() or str(error)
        raise ReproduceError(
            f"commit {commit[:12]} cannot be checked out of {root} ({said.splitlines()[-1]}); "
            "fetch it there, or go to a clone that has it"
        ) from error


def moved_paths(paths: Sequence[str], top: Path, folder: Path, kept: Path) -> list[str]:
    """Point the entries of `sys.path` that lie in the checkout to the same places of another tree.

    Entries below `kept`, the virtual environment, stay. Those that the other tree does not have are left out, lest the
    present code be taken for that of then.
    """
    moved = []
    for entry in filter(None, paths):
        path = Path(entry).resolve()
        if not path.is_relative_to(top) or path.is_relative_to(kept):
            moved.append(entry)
        elif (there := folder / path.relative_to(top)).exists():
            moved.append(str(there))
    return moved
