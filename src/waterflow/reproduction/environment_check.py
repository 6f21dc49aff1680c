"""Checks whether the environment is that of a recorded fit. Python, platform and packages are compared."""

import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from waterflow.errors import ReproduceError
from waterflow.lineage.run_provenance import platform_name
from waterflow.lineage.version_history import VersionHistory
from waterflow.provenance.environment import EXTRAS, lock_digest, locked_versions
from waterflow.records.data import Blob
from waterflow.resources import Resources
from waterflow.stores.base import get_file

SHOWN_PACKAGES = 8


def check_environment(history: VersionHistory, resources: Resources, scratch: Path) -> None:
    """Raise ReproduceError where Python, platform, lock file or packages differ.

    Without a lock file the packages are those that were installed. What was recorded is fetched by its digest, which
    raises StoreError when it is gone or altered.
    """
    made, here = history.provenance, f"{sys.version_info.major}.{sys.version_info.minor}"
    recorded = ".".join(made.python.split(".")[:2])
    if (recorded, made.platform) != (here, platform_name()):
        raise ReproduceError(
            f"{history.name} was fitted by Python {recorded} on {made.platform}, and this is Python {here} on "
            f"{platform_name()}; results may differ there, so run it where it was fitted"
        )
    if made.installed is not None:
        stored = get_file(resources.store, made.installed, scratch / "installed.txt")
        _check_installed(history, locked_versions(stored), "was then", f"install {made.installed.key} of the store")
        return
    if made.lock is None:
        raise ReproduceError(
            f"{history.name}: its run recorded neither {resources.project.lock_file.name} nor what was installed, so "
            "its packages are not known; train it again with --force, and reproduce that version"
        )
    for blob, path in [(made.lock, resources.project.lock_file), *_extra_locks(history, resources)]:
        _check_lock(history, blob, path, get_file(resources.store, blob, scratch / path.name))


def _check_lock(history: VersionHistory, blob: Blob, path: Path, stored: Path) -> None:
    recorded, present = locked_versions(stored), locked_versions(path)
    if lock_digest(path) != blob.digest:
        names = [name for name in sorted({*recorded, *present}) if recorded.get(name) != present.get(name)]
        changes = _list([f"{name} {recorded.get(name, 'none')} → {present.get(name, 'none')}" for name in names])
        raise ReproduceError(
            f"{history.name} was fitted under another {path.name} ({changes or 'the same versions, other hashes'}); "
            f"go back to that file, which is {blob.key} in the store, and install it"
        )
    _check_installed(history, recorded, f"{path.name} says", "install it again")


def _check_installed(history: VersionHistory, recorded: Mapping[str, str], expected: str, remedy: str) -> None:
    installed = {name: _installed(name) for name in recorded}
    differing = [
        f"{name} {version} → {installed[name]}" for name, version in recorded.items() if installed[name] != version
    ]
    if differing:
        raise ReproduceError(f"{history.name}: what is installed is not what {expected} ({_list(differing)}); {remedy}")


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def _list(names: list[str]) -> str:
    more = len(names) - SHOWN_PACKAGES
    return ", ".join(names[:SHOWN_PACKAGES]) + (f" and {more} more" if more > 0 else "")


def _extra_locks(history: VersionHistory, resources: Resources) -> list[tuple[Blob, Path]]:
    """Return the recorded locks of the fitted candidate's extras. Each comes with the path of the present file."""
    candidate = history.config.candidates[history.trained.candidate]
    name, _ = EXTRAS.get(candidate.estimator.rpartition(".")[0], ("", ()))
    blob = history.provenance.extra_locks.get(name)
    return [(blob, resources.project.lock_file.with_name(name))] if blob else []
