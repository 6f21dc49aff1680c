"""The code of another commit, in its own work tree."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from waterflow.errors import ReproduceError
from waterflow.provenance.git import run_git

HASH = re.compile("[0-9a-f]{7,64}")


def has_commit(root: Path, commit: str) -> bool | None:
    """Return whether a checkout has a commit. None without a checkout or git."""
    if find_top(root) is None:
        return None
    if not HASH.fullmatch(commit):  # git would take some strings for options
        return False
    try:
        run_git(root, "cat-file", "-e", f"{commit}^{{commit}}")
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def find_top(root: Path) -> Path | None:
    """Return the top folder of a checkout; None without one."""
    try:
        return Path(run_git(root, "rev-parse", "--show-toplevel").decode().strip())
    except (OSError, subprocess.SubprocessError):
        return None


def check_out(root: Path, commit: str, diff: Path | None, folder: Path) -> None:
    """Check out a commit into `folder` with its uncommitted changes.

    The folder becomes a repository that borrows the objects of the checkout at `root`. Unlike `git worktree add` that
    writes nothing to the checkout, which a container may see read-only, and leaves nothing behind if the process is
    killed. Raises ReproduceError when the commit is missing or the diff does not apply.
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
    """Return `sys.path`, with entries moved to another tree.

    Entries below `kept`, the virtual environment, stay. Those that the other tree lacks are left out, so that present
    code is not imported in their place.
    """
    moved = []
    for entry in filter(None, paths):
        path = Path(entry).resolve()
        if not path.is_relative_to(top) or path.is_relative_to(kept):
            moved.append(entry)
        elif (there := folder / path.relative_to(top)).exists():
            moved.append(str(there))
    return moved
