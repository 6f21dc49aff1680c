"""The environment of a step: Python, platform and packages."""

import platform
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from waterflow.provenance.hashing import digest_of, sha256_of

# Estimators of an optional extra: its lock, beside the main one, and what their models need of it.
EXTRAS = {
    "waterflow.estimators.bert": ("requirements-bert.lock", ("torch", "transformers")),
    "catboost": ("requirements-catboost.lock", ("catboost",)),
    "lightgbm": ("requirements-lightgbm.lock", ("lightgbm",)),
}
# A line of RECORD begins with the path of an installed file.
TOP_LEVEL = re.compile(r"^(\w+)(?=/|\.py,|\.\S+\.(?:so|pyd),)", re.MULTILINE)


def environment_facts(packages: Iterable[str]) -> dict[str, str]:
    """Return Python, platform, and the versions behind imported packages.

    Requirements of the distributions count, for they run as well. Versions are by the name of the distribution:
    `sklearn` is of scikit-learn, and `xgboost` may be of xgboost-cpu.
    """
    installed, owners = _installed(tuple(sys.path)), _owners(tuple(sys.path))
    waiting = [owner for package in packages for owner in owners.get(package, ())]
    versions: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in installed and name not in versions:
            versions[name], folder = installed[name]
            waiting += _requirements(folder)
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "platform": f"{sys.platform} {platform.machine()}",
    } | dict(sorted(versions.items()))


def installed_pins(packages: Iterable[str]) -> str:
    """Return what is installed of some packages and their requirements.

    It has the form of a lock file, with a pin a line, and stands in for one where a project has none.
    """
    names = environment_facts(packages).keys() - environment_facts(()).keys()
    return "".join(f"{name}=={metadata.version(name)}\n" for name in sorted(names))


def environment_digest(lock_file: Path) -> str:
    """Hash the lock file, Python's minor version and the platform."""
    return digest_of({"lock": lock_digest(lock_file)} | environment_facts(()))


def lock_digest(lock_file: Path) -> str:
    """Hash the lock file. `no lock file` stands for a project without one."""
    return sha256_of(lock_file) if lock_file.is_file() else "no lock file"


def locked_versions(lock_file: Path, names: Collection[str] | None = None) -> dict[str, str]:
    """Read the versions that a lock file pins. Lines for other platforms are left out, and all but `names` if given."""
    versions: dict[str, str] = {}
    if not lock_file.is_file():
        return versions
    for line in lock_file.read_text("utf-8").splitlines():
        if "==" in line and line[:1].isalnum() and (names is None or line.partition("==")[0] in names):
            requirement = Requirement(line.removesuffix("\\").strip())
            if requirement.marker is None or requirement.marker.evaluate():
                versions[requirement.name] = str(requirement.specifier).removeprefix("==")
    return versions


def model_requirements(lock_file: Path, estimator_path: str, packages_used: Collection[str] = ()) -> list[str]:
    """List the pinned requirements of a fitted pipeline elsewhere.

    `packages_used` are those of its other steps. Without a lock file the pins are of what is installed.
    """
    needed = ["mlflow", "scikit-learn", "pandas", "numpy", "scipy", "cloudpickle"]
    owners = _owners(tuple(sys.path))
    for package in sorted({estimator_path.partition(".")[0], *packages_used}):
        needed += sorted(set(owners.get(package, ())) - set(needed))
    versions = _pinned_versions(lock_file, needed)
    for module in (estimator_path.rpartition(".")[0], *packages_used):
        if module in EXTRAS:
            extra, packages = EXTRAS[module]
            needed += packages
            versions |= _pinned_versions(lock_file.with_name(extra), packages)
    return [f"{name}=={versions[name]}" for name in dict.fromkeys(needed) if name in versions]


def _pinned_versions(lock_file: Path, names: Collection[str]) -> dict[str, str]:
    if lock_file.is_file():
        return locked_versions(lock_file, names)
    installed = _installed(tuple(sys.path))
    return {name: installed[name][0] for name in names if name in installed}


@cache  # reading every list of installed files takes 50 ms
def _owners(path: tuple[str, ...]) -> Mapping[str, frozenset[str]]:
    """Return the distributions that installed each top-level package. Keys are the packages' names."""
    owners: dict[str, set[str]] = {}
    for name, (_, folder) in _installed(path).items():
        record = folder / "RECORD"
        for package in set(TOP_LEVEL.findall(record.read_text("utf-8"))) if record.is_file() else ():
            owners.setdefault(package, set()).add(name)
    return {package: frozenset(names) for package, names in owners.items()}


@cache
def _installed(path: tuple[str, ...]) -> Mapping[str, tuple[str, Path]]:
    """Return version and metadata folder of each distribution, by name."""
    found: dict[str, tuple[str, Path]] = {}
    for entry in path:
        for folder in Path(entry or ".").glob("*.dist-info"):
            name, _, version = folder.stem.rpartition("-")
            found.setdefault(_normalized(name), (version, folder))
    return found


@cache
def _requirements(folder: Path) -> list[str]:
    header = (folder / "METADATA").read_text("utf-8").partition("\n\n")[0]
    lines = [line for line in header.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    requirements = [Requirement(line.removeprefix("Requires-Dist:")) for line in lines]
    return [_normalized(entry.name) for entry in requirements if not entry.marker or entry.marker.evaluate()]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
