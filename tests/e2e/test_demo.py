"""What `make demo` runs."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_demo_ends_with_a_champion(tmp_path: Path) -> None:
    """In a home of its own, it prints candidates, verdict and decision."""
    done = subprocess.run(
        [sys.executable, "scripts/run_dag.py", "iris"],
        cwd=ROOT,
        env=os.environ | {"WATERFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "iris: candidates on the validation rows" in done.stdout
    assert "decision    promote: version 1 is champion" in done.stdout
