"""The environment of a step: Python, platform and packages."""

import platform
import re
import sys
from collections.abc import Collection
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement

from waterflow.provenance.hashing import digest_of, sha256_of

# Estimators that an optional extra brings: its lock, which lies beside the main one, and what their models need of it.
EXTRAS = {"waterflow.estimators.bert": ("requirements-bert.lock", ("torch", "transformers"))}


def environment_digest(lock_file: Path, estimator_path: str = "") -> str:
    """Hash what `environment_facts` names."""
    return digest_of(environment_facts(lock_file, estimator_path))


def environment_facts(lock_file: Path, estimator_path: str = "") -> dict[str, str]:
    """Name the lock's digest, that of the extra's that an estimator needs, Python's minor version and the platform."""
    extra, _ = _extra_of(estimator_path)
    locks = [lock_file, *([lock_file.with_name(extra)] if extra else [])]
    return {path.name: lock_digest(path) for path in locks} | {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "platform": f"{sys.platform} {platform.machine()}",
    }


def lock_digest(lock_file: Path) -> str:
    """Hash the lock file's bytes; `no lock file` stands for a project without one."""
    return sha256_of(lock_file) if lock_file.is_file() else "no lock file"


def locked_versions(lock_file: Path, names: Collection[str] | None = None) -> dict[str, str]:
    """Read `name==version` of the lock file, as it holds for this Python and platform; of `names` alone, if given."""
    versions: dict[str, str] = {}
    if not lock_file.is_file():
        return versions
    for line in lock_file.read_text("utf-8").splitlines():
        if "==" in line and line[:1].isalnum() and (names is None or line.partition("==")[0] in names):
            requirement = Requirement(line.removesuffix("\\").strip())
            if requirement.marker is None or requirement.marker.evaluate():
                versions[requirement.name] = str(requirement.specifier).removeprefix("==")
    return versions


def model_requirements(lock_file: Path, estimator_path: str) -> list[str]:
    """List, from the lock, what a fitted pipeline needs to be loaded and to predict elsewhere."""
    package = estimator_path.partition(".")[0]
    needed = ["mlflow", "scikit-learn", "pandas", "numpy", "scipy", "cloudpickle"]
    if package != "sklearn":
        needed += _distributions_of(package)
    extra, packages = _extra_of(estimator_path)
    versions = locked_versions(lock_file, needed)
    if extra:
        needed += packages
        versions |= locked_versions(lock_file.with_name(extra), packages)
    return [f"{name}=={versions[name]}" for name in needed if name in versions]


def _extra_of(estimator_path: str) -> tuple[str, tuple[str, ...]]:
    return EXTRAS.get(estimator_path.rpartition(".")[0], ("", ()))


@cache
def _distributions_of(package: str) -> list[str]:
    """Name the distributions that have installed a package: `xgboost` came with xgboost or with xgboost-cpu."""
    files = re.compile(rf"^{re.escape(package)}(/|\.py,)", re.MULTILINE)
    return [found.name for found in distributions() if files.search(found.read_text("RECORD") or "")]
