"""The state of a git checkout."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class GitState:
    """The commit of the project's checkout. `dirty` is None where git cannot tell."""

    commit: str | None
    dirty: bool | None


def git_state(root: Path, environment: Mapping[str, str] = os.environ) -> GitState:
    """Return a checkout's commit, and whether tracked files differ.

    Without a checkout, as in an image, the commit comes from `WATERFLOW_GIT_COMMIT`.
    """
    try:
        commit = run_git(root, "rev-parse", "HEAD").decode().strip()
        return GitState(commit, dirty=bool(run_git(root, "status", "--porcelain", "--untracked-files=no").strip()))
    except (OSError, subprocess.CalledProcessError):
        return GitState(environment.get("WATERFLOW_GIT_COMMIT") or None, dirty=None)


def git_diff(root: Path) -> bytes:
    """Return the uncommitted changes of tracked files, for `git apply`. Raises what `run_git` raises."""
    return run_git(root, "diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD")


def run_git(root: Path, *arguments: str) -> bytes:
    """Run git in a checkout and return its output.

    Raises OSError without git, CalledProcessError when it refuses.
    """
    # The checkout may belong to another user, as it does when it is mounted into a container.
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
