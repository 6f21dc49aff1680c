"""Versions with all that lineage and reproduce follow, made in seconds: real rows and models, no staging, real git."""

import shutil
import subprocess
from pathlib import Path

from support.promotion import enter, evaluate_run, fitted
from waterflow.lineage.graph import log_lineage
from waterflow.records.data import Blob
from waterflow.resources import Resources
from waterflow.steps.promote import promote
from waterflow.tracking.registry import Version

MODULE = """
import numpy as np
from sklearn.naive_bayes import GaussianNB

FACTOR = 1.0


class Ours(GaussianNB):
    def fit(self, X, y):
        super().fit(X, y)
        self.theta_ *= FACTOR
        return self
"""


def git(root: Path, *arguments: str) -> str:
    """Run git as somebody."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit_all(root: Path, message: str = "one") -> str:
    """Commit all files of a project, which becomes a repository; returns the commit."""
    if not (root / ".git").exists():
        git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def version_of(
    name: str, resources: Resources, run_id: str = "run_1", *, full: bool = False, decided: bool = False
) -> Version:
    """Run a pipeline up to a registered version; unless `full`, without evaluation, which takes a second.

    `decided` says that its verdict is acted on too.
    """
    prepared, evaluated = (evaluate_run if full else fitted)(name, resources, run_id)
    registered = enter(prepared, evaluated, resources)
    if decided:
        promote(prepared, registered, resources)
    resources.runs.log(prepared.parent_run_id, tags={"waterflow.registered": f"{name}/{registered.version}"})
    log_lineage(name, registered.version, prepared.parent_run_id, resources)
    resources.runs.close(prepared.parent_run_id, "FINISHED", "")
    found = resources.registry.get_version(name, registered.version)
    assert found is not None
    return found


def path_of(blob: Blob, resources: Resources) -> Path:
    """Find the file of an object."""
    return Path(resources.store.uri.removeprefix("file://")) / blob.key


def alter(blob: Blob, resources: Resources) -> None:
    """Change a byte in the middle of an object."""
    path = path_of(blob, resources)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remove_model(model_id: str, resources: Resources) -> None:
    """Remove the files of a logged model."""
    location = resources.runs.client.get_logged_model(model_id).artifact_location
    shutil.rmtree(location.removeprefix("file://"))
