"""Digests of what a step is made from: its code, the environment, the commit."""

import ast
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

SOURCE_ROOT = Path(__file__).resolve().parents[2]

# Estimators that an optional extra brings: its lock, which lies beside the main one, and what their models need of it.
EXTRAS = {"waterflow.estimators.bert": ("requirements-bert.lock", ("torch", "transformers"))}


@dataclass(frozen=True)
class GitState:
    """The commit of the project's checkout; `dirty` is None where git cannot tell."""

    commit: str | None
    dirty: bool | None


def git_state(root: Path, environment: Mapping[str, str] = os.environ) -> GitState:
    """Ask git for the commit and whether tracked files differ from it.

    Without a checkout, as in an image, the commit comes from `WATERFLOW_GIT_COMMIT`.
    """
    try:
        commit = run_git(root, "rev-parse", "HEAD").decode().strip()
        return GitState(commit, dirty=bool(run_git(root, "status", "--porcelain", "--untracked-files=no").strip()))
    except (OSError, subprocess.CalledProcessError):
        return GitState(environment.get("WATERFLOW_GIT_COMMIT") or None, dirty=None)


def git_diff(root: Path) -> bytes:
    """Give what tracked files have that the commit has not, as `git apply` takes it; raises what git raises."""
    return run_git(root, "diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD")


def digest_of(content: Any) -> str:
    """Hash JSON-like content by sha256 over its canonical form, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of(path: Path) -> str:
    """Hash a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def action_key(
    step: str, inputs: Mapping[str, Any], code: Mapping[str, str] | str, environment: Mapping[str, str] | str
) -> str:
    """Name an action by all that decides its outcome; equal keys mean equal work."""
    return digest_of({"step": step, "inputs": inputs, "code": code, "environment": environment})


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


def code_digest(module: str, root: Path = SOURCE_ROOT) -> str:
    """Hash the source of a module and of all it imports below `root`, imports inside functions too."""
    return digest_of(module_digests([module], root))


def module_digests(
    modules: Iterable[str], root: Path = SOURCE_ROOT, *, outside: Collection[str] = ()
) -> dict[str, str]:
    """Hash the source of modules and of all that they import below `root`, by name.

    Imports of packages in `outside` are not followed.
    """
    names = {name for module in modules for name in imported_modules(module, root, outside)}
    files = {name: _module_file(name, root) for name in sorted(names)}
    return {name: sha256_of(path) for name, path in files.items() if path is not None}


def user_modules(estimator_path: str) -> dict[str, str]:
    """Hash the module of an estimator that is the user's own, and those beside it that it imports, by name.

    Installed packages are the lock file's business.
    """
    module = estimator_path.rpartition(".")[0]
    if module.startswith("waterflow."):
        return module_digests([module])
    # Asking for a submodule would import its package, and those that are installed are dear.
    outermost = find_spec(module.partition(".")[0])
    if outermost is None or any(_is_installed(Path(place)) for place in _places(outermost)):
        return {}
    spec = find_spec(module)
    origin = Path(spec.origin) if spec and spec.origin and spec.has_location else None
    if origin is None or _is_installed(origin) or origin.suffix != ".py":
        return {}
    depth = module.count(".") + (origin.stem == "__init__")
    return module_digests([module], origin.parents[depth])


def package_modules(package: str, root: Path = SOURCE_ROOT) -> list[str]:
    """List the modules of a package below `root`, with their dotted names."""
    files = sorted(root.joinpath(*package.split(".")).rglob("*.py"))
    parts = (file.relative_to(root).with_suffix("").parts for file in files)
    return [".".join(names[:-1] if names[-1] == "__init__" else names) for names in parts]


def imported_modules(module: str, root: Path = SOURCE_ROOT, outside: Collection[str] = ()) -> list[str]:
    """List the modules below `root` that `module` reaches by imports, itself included, in order of name."""
    # Most of what is imported lies elsewhere, and asking the disk for each of its names takes long.
    outermost = {path.stem for path in root.iterdir()}
    found: set[str] = set()
    asked: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in asked or name.partition(".")[0] not in outermost or _is_within(name, outside):
            continue
        asked.add(name)
        path = _module_file(name, root)
        if path is None:
            continue
        found.add(name)
        package = name if path.stem == "__init__" else name.rpartition(".")[0]
        waiting += _imports_in(path.read_text("utf-8"), package)
    return sorted(found)


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


def _is_within(module: str, packages: Collection[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@cache  # the steps of one process ask for the same sources, and parsing them is dear
def _imports_in(source: str, package: str) -> list[str]:
    """Name what a module's text imports; `from a import b` may mean the module `a.b`."""
    names: list[str] = []
    for node in _statements(ast.parse(source).body):
        if isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return names


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Give every statement, inner ones too; an import is one, and expressions are most of a tree."""
    for node in nodes:
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, field, ()))


def _extra_of(estimator_path: str) -> tuple[str, tuple[str, ...]]:
    return EXTRAS.get(estimator_path.rpartition(".")[0], ("", ()))


def _places(spec: ModuleSpec) -> list[str]:
    origin = [spec.origin] if spec.origin and spec.has_location else []
    return [*origin, *(spec.submodule_search_locations or ())]


def _is_installed(path: Path) -> bool:
    return "site-packages" in path.parts


@cache
def _distributions_of(package: str) -> list[str]:
    """Name the distributions that have installed a package: `xgboost` came with xgboost or with xgboost-cpu."""
    files = re.compile(rf"^{re.escape(package)}(/|\.py,)", re.MULTILINE)
    return [found.name for found in distributions() if files.search(found.read_text("RECORD") or "")]


def _module_file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def run_git(root: Path, *arguments: str) -> bytes:
    """Run git in a checkout and give its output; raises OSError without git, CalledProcessError when it refuses."""
    # The checkout may belong to another user, as it does when it is mounted into a container.
    command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
