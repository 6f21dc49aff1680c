"""What a person writes after `make user` and its kin."""

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose `docker` prints its words, one a line."""
    docker = tmp_path / "docker"
    docker.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    docker.chmod(0o755)
    return {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}


@pytest.mark.parametrize("target", ["user NAME", "mlflow-user NAME", "rotate-signing-key REVOKE"])
@pytest.mark.parametrize("name", ["o'brien", '"; touch {0}; "', "$(touch {0})", "`touch {0}`", "$(shell touch {0})"])
def test_a_name_is_no_code(environment: dict[str, str], tmp_path: Path, target: str, name: str) -> None:
    """It arrives as it was written, and neither make nor the shell runs it."""
    mark = tmp_path / "mark"
    given, (goal, variable) = name.format(mark), target.split()
    made = subprocess.run(
        ["make", "--no-print-directory", goal, f"{variable}={given}"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert given in made.stdout.splitlines(), made.stderr
    assert not mark.exists()
