"""The code to fit a version again with. It is the present code, or a checkout of its commit."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from waterflow.errors import ReproduceError
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.provenance.code import SOURCE_ROOT
from waterflow.provenance.git import git_state
from waterflow.provenance.own_code import own_files
from waterflow.provenance.worktree import check_out, find_top, has_commit, moved_paths
from waterflow.resources import Resources
from waterflow.stores.base import get_file

WORKER_FILE = Path("waterflow", "reproduction", "worker.py")


@dataclass(frozen=True)
class CodeCheckout:
    """Code to fit with. Its description, import paths, and the folder to run in."""

    description: str
    paths: tuple[str, ...]
    folder: Path

    def environment(self, threads: int) -> dict[str, str]:
        """Return the environment variables of a process. The process uses this code and `threads` threads."""
        kept = {name: value for name, value in os.environ.items() if name != "WATERFLOW_THREADS"}
        return kept | {"PYTHONPATH": os.pathsep.join(self.paths), "OMP_NUM_THREADS": str(threads)}


def find_code(history: VersionHistory, resources: Resources, scratch: Path) -> CodeCheckout:
    """Return the code of a fit.

    It is the present code where the recorded commit is checked out and nothing is uncommitted, else a work tree of that
    commit. Without the commit, the present code is used if its digest is that of the fit. Raises ReproduceError when
    it is not, or when the commit has no worker that could fit a version.
    """
    made, root = history.provenance, resources.project.root
    present, top = git_state(root, own=own_files(history.config)), find_top(root)
    paths = tuple(filter(None, sys.path))
    if made.commit and made.commit == present.commit and made.dirty is False and present.dirty is False:
        return CodeCheckout("the present code", paths, root)
    if made.commit and top is not None and has_commit(root, made.commit):
        return _check_out_commit(made.commit, _fetch_diff(history, resources, scratch), root, top, scratch / "tree")
    if Verifier(resources).is_present_code(history):
        return CodeCheckout("the present code, which is that of the fit by its digest", paths, root)
    reason = f"there is no commit {made.commit[:12]} here" if made.commit else "no commit was recorded"
    raise ReproduceError(
        f"{history.name}: the code has changed since its fit, and {reason}; use a clone that has the commit"
    )


def _fetch_diff(history: VersionHistory, resources: Resources, scratch: Path) -> Path | None:
    made = history.provenance
    if made.dirty and made.diff is None:
        raise ReproduceError(f"{history.name}: its uncommitted changes could not be recorded; fit it again by hand")
    return get_file(resources.store, made.diff, scratch / "uncommitted.diff") if made.diff else None


def _check_out_commit(commit: str, diff: Path | None, root: Path, top: Path, tree: Path) -> CodeCheckout:
    check_out(top, commit, diff, tree)
    is_ours = SOURCE_ROOT.is_relative_to(top) and not SOURCE_ROOT.is_relative_to(Path(sys.prefix).resolve())
    if is_ours and not (tree / SOURCE_ROOT.relative_to(top) / WORKER_FILE).is_file():
        raise ReproduceError(
            f"commit {commit[:12]} is older than `waterflow reproduce`: it has no {WORKER_FILE}; "
            "train from that commit by hand, or reproduce a later version"
        )
    paths = moved_paths(sys.path, top, tree, Path(sys.prefix).resolve())
    description = f"commit {commit[:12]}{' with its uncommitted changes' if diff else ''}, in a work tree of its own"
    return CodeCheckout(description, tuple(paths), tree / root.relative_to(top))
