"""Whether a version can be trained again here: the packages, the interpreter and the code of then."""

import os
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from waterflow.errors import ReproduceError
from waterflow.lineage.run_provenance import platform_name
from waterflow.lineage.verification import Proofs
from waterflow.lineage.version_history import Chain
from waterflow.provenance.code import EXTRAS, SOURCE_ROOT, git_state, lock_digest, locked_versions
from waterflow.provenance.worktree import check_out, find_top, has_commit, moved_paths
from waterflow.records import Blob
from waterflow.resources import Resources, load_config
from waterflow.stores.base import get_file

ENTRY = Path("waterflow", "steps", "refit.py")
SHOWN_PACKAGES = 8


@dataclass(frozen=True)
class Code:
    """Code to train with: in words, where to import it from, and the folder to run in."""

    words: str
    paths: tuple[str, ...]
    folder: Path


def check_conditions(chain: Chain, resources: Resources, scratch: Path) -> None:
    """Raise ReproduceError, in one line, where Python, platform, lock file or installed packages are not those of then.

    The recorded locks are fetched by their digests, which raises StoreError when one is gone or altered.
    """
    made, here = chain.provenance, f"{sys.version_info.major}.{sys.version_info.minor}"
    then = ".".join(made.python.split(".")[:2])
    if (then, made.platform) != (here, platform_name()):
        raise ReproduceError(
            f"{chain.name} was fitted by Python {then} on {made.platform}, and this is Python {here} on "
            f"{platform_name()}; results may differ there, so run it where it was made"
        )
    if made.lock is None:
        raise ReproduceError(
            f"{chain.name}: the project had no {resources.project.lock_file.name}, so its packages are not known; "
            "add one"
        )
    for blob, path in [(made.lock, resources.project.lock_file), *_extras(chain, resources)]:
        _check_lock(chain, blob, path, get_file(resources.store, blob, scratch / path.name))


def find_code(chain: Chain, resources: Resources, scratch: Path) -> Code:
    """Choose the code to train with: that at hand where it is the recorded commit's, else a work tree of that commit.

    Where no commit can be had, the code at hand will do if by its digest it is that of the fit. Raises ReproduceError
    when it is not, or when the commit is older than the program that trains again.
    """
    made, root = chain.provenance, resources.project.root
    present, top = git_state(root), find_top(root)
    here = Code("the code at hand", tuple(filter(None, sys.path)), root)
    if made.commit and made.commit == present.commit and made.dirty is False and present.dirty is False:
        return here
    if made.commit and top is not None and has_commit(root, made.commit):
        return _code_of(made.commit, _diff(chain, resources, scratch), root, top, scratch / "tree")
    if Proofs(resources).is_present_code(chain):
        return Code("the code at hand, which is that of then by its digest", here.paths, root)
    named = f"commit {made.commit[:12]} is not to be had here" if made.commit else "no commit names its code"
    raise ReproduceError(
        f"{chain.name}: the code of its fit was changed since, and {named}; go to a clone that has the commit"
    )


def _check_lock(chain: Chain, blob: Blob, path: Path, stored: Path) -> None:
    then, now = locked_versions(stored), locked_versions(path)
    if lock_digest(path) != blob.digest:
        apart = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
        named = _listed([f"{name} {then.get(name, 'none')} → {now.get(name, 'none')}" for name in apart])
        named = named or "the same versions, other hashes or notes"
        raise ReproduceError(
            f"{chain.name} was fitted under another {path.name} ({named}); "
            f"go back to that file, whose bytes are kept as {blob.key} of the store, and install it"
        )
    found = {name: _installed(name) for name in then}
    apart = [f"{name} {version} → {found[name]}" for name, version in then.items() if found[name] != version]
    if apart:
        raise ReproduceError(
            f"{chain.name}: what is installed is not what {path.name} says ({_listed(apart)}); install it anew"
        )


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def _listed(names: list[str]) -> str:
    more = len(names) - SHOWN_PACKAGES
    return ", ".join(names[:SHOWN_PACKAGES]) + (f" and {more} more" if more > 0 else "")


def _extras(chain: Chain, resources: Resources) -> list[tuple[Blob, Path]]:
    """Pair the extras' locks with the files here, where the fitted candidate needs them."""
    candidate = load_config(chain.prepared, resources).candidates[chain.trained.candidate]
    name, _ = EXTRAS.get(candidate.estimator.rpartition(".")[0], ("", ()))
    blob = chain.provenance.extra_locks.get(name)
    return [(blob, resources.project.lock_file.with_name(name))] if blob else []


def _diff(chain: Chain, resources: Resources, scratch: Path) -> Path | None:
    made = chain.provenance
    if made.dirty and made.diff is None:
        raise ReproduceError(f"{chain.name}: its tree was dirty, and what was not committed could not be kept")
    return get_file(resources.store, made.diff, scratch / "uncommitted.diff") if made.diff else None


def _code_of(commit: str, diff: Path | None, root: Path, top: Path, tree: Path) -> Code:
    check_out(top, commit, diff, tree)
    is_ours = SOURCE_ROOT.is_relative_to(top) and not SOURCE_ROOT.is_relative_to(Path(sys.prefix).resolve())
    if is_ours and not (tree / SOURCE_ROOT.relative_to(top) / ENTRY).is_file():
        raise ReproduceError(
            f"commit {commit[:12]} is older than `waterflow reproduce`: it has no {ENTRY}, so nothing there can train "
            "a version by itself; train anew from that commit by hand, or reproduce a later version"
        )
    paths = moved_paths(sys.path, top, tree, Path(sys.prefix).resolve())
    words = f"commit {commit[:12]}{' with its uncommitted changes' if diff else ''}, in a work tree of its own"
    return Code(words, tuple(paths), tree / root.relative_to(top))


def environment_of(code: Code, threads: int) -> dict[str, str]:
    """Give the variables of the process that trains again: its modules, and as many threads as the fit had."""
    kept = {name: value for name, value in os.environ.items() if name != "WATERFLOW_THREADS"}
    return kept | {"PYTHONPATH": os.pathsep.join(code.paths), "OMP_NUM_THREADS": str(threads)}
