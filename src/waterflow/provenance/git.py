"""The state of a git checkout."""

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class GitState:
    """The commit of the project's checkout. `dirty` is None where git cannot tell."""

    commit: str | None
    dirty: bool | None


def git_state(root: Path, environment: Mapping[str, str] = os.environ, own: Sequence[Path] = ()) -> GitState:
    """Return a checkout's commit, and whether files differ from it.

    These are the tracked ones, and `own`, the user's modules, tracked or not. Without a checkout, as in an image, the
    commit comes from `WATERFLOW_GIT_COMMIT`.
    """
    try:
        commit = run_git(root, "rev-parse", "HEAD").decode().strip()
        changed = run_git(root, "status", "--porcelain", "--untracked-files=no").strip()
        return GitState(commit, dirty=bool(changed or find_untracked(root, own)))
    except (OSError, subprocess.CalledProcessError):
        return GitState(environment.get("WATERFLOW_GIT_COMMIT") or None, dirty=None)


def git_diff(root: Path, own: Sequence[Path] = ()) -> bytes:
    """Return the uncommitted changes, for `git apply`. Untracked files of `own` are new ones in it.

    Raises what `run_git` raises.
    """
    options = ("--binary", "--no-ext-diff", "--no-textconv", "--no-color")
    changes = run_git(root, "diff", *options, "HEAD")
    untracked, top = find_untracked(root, own), _top_of(root)
    return changes + b"".join(_diff_of_new(top, path, options) for path in untracked)


def find_untracked(root: Path, files: Sequence[Path]) -> list[Path]:
    """Return the files that git does not track. Paths start at the top; ignored files are among them."""
    if not files:
        return []
    top = _top_of(root)
    inside = [path.resolve().relative_to(top) for path in files if path.resolve().is_relative_to(top)]
    if not inside:
        return []
    tracked = run_git(top, "ls-files", "-z", "--", *map(str, inside)).decode().split("\0")
    return sorted(path for path in inside if str(path) not in tracked)


def _top_of(root: Path) -> Path:
    return Path(run_git(root, "rev-parse", "--show-toplevel").decode().strip()).resolve()


def _diff_of_new(top: Path, path: Path, options: Sequence[str]) -> bytes:
    # Two files are compared, of which the first is empty; git still reads the configuration of the repository.
    start = ["git", *without_config(top), "-c", f"safe.directory={top}", "-C", str(top)]
    command = [*start, "diff", "--no-index", *options, "--", os.devnull, str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30)
    if done.returncode != 1:  # which means that they differ
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
    return done.stdout


def run_git(root: Path, *arguments: str) -> bytes:
    """Run git in a checkout and return its output. Raises OSError without git, CalledProcessError when it refuses."""
    # The checkout may belong to another user, as it does when it is mounted into a container.
    command = ["git", *without_config(root), "-c", f"safe.directory={root}", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout


def without_config(root: Path) -> tuple[str, ...]:
    """Return options for a checkout whose configuration cannot be read.

    `.git/config` may hold a password in an address, so the stack's tasks have no right to read it, and git does
    nothing without. The options lead it to a folder that borrows everything else. Empty where git needs no help.
    """
    top = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    if top is None or not (top / ".git" / "config").exists() or os.access(top / ".git" / "config", os.R_OK):
        return ()
    view = _make_view(top / ".git")
    shutil.copyfile(top / ".git" / "HEAD", view / "HEAD")  # git takes no link for it
    return ("--no-optional-locks", f"--git-dir={view}", f"--work-tree={top}")


@cache
def _make_view(git_dir: Path) -> Path:
    view = Path(tempfile.mkdtemp(prefix="waterflow-git-"))
    atexit.register(shutil.rmtree, view, ignore_errors=True)
    for name in ("index", "info", "objects", "packed-refs", "refs", "shallow"):
        (view / name).symlink_to(git_dir / name)
    (view / "config").write_text("[core]\n\trepositoryformatversion = 0\n\tbare = false\n", "utf-8")
    return view
