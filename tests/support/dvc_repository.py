"""A real DVC repository for tests: two commits of one file, pushed to a remote in a folder."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from waterflow.data.sources.dvc import find_python
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError

PATH = "data/flowers.csv"


def run(folder: Path, *command: str, **variables: str) -> str:
    """Run git or dvc in a folder, as a person of no particular machine."""
    person = {f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = os.environ | person | {"GIT_CONFIG_GLOBAL": os.devnull, "DVC_NO_ANALYTICS": "1"} | variables
    program = str(dvc_command()) if command[0] == "dvc" else command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def dvc_command() -> Path:
    """Return DVC's command, as a source finds it; skips where it is not installed (`make test` installs it)."""
    try:
        return find_python().with_name("dvc")
    except ConfigError as error:
        pytest.skip(str(error))


def add(folder: Path, rows: int, message: str) -> str:
    """Write so many irises, let DVC track them and commit; returns the commit."""
    (folder / "data").mkdir(exist_ok=True)
    iris().head(rows).to_csv(folder / PATH, index=False)
    run(folder, "dvc", "add", "-q", PATH)
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", message)
    return run(folder, "git", "rev-parse", "HEAD")


def make_repository(folder: Path, remote: str | Path | None) -> tuple[str, str]:
    """Make a repository out of a folder; returns its two commits, of 120 and of 150 rows, the last on branch main."""
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "dvc", "init", "-q")
    if remote is not None:
        run(folder, "dvc", "remote", "add", "-d", "there", str(remote))
    commits = add(folder, 120, "120 irises"), add(folder, 150, "150 irises")
    if remote is not None and "://" not in str(remote):
        run(folder, "dvc", "push", "-q", "--all-commits")
    return commits


def forget(folder: Path) -> None:
    """Remove what only this machine has of the data: the cache and the file."""
    shutil.rmtree(folder / ".dvc" / "cache", ignore_errors=True)
    (folder / PATH).unlink(missing_ok=True)
