"""Source files behind a step, found by following imports, and their digests."""

import ast
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from waterflow.provenance.hashing import digest_of, sha256_of

SOURCE_ROOT = Path(__file__).resolve().parents[2]


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


def _places(spec: ModuleSpec) -> list[str]:
    origin = [spec.origin] if spec.origin and spec.has_location else []
    return [*origin, *(spec.submodule_search_locations or ())]


def _is_installed(path: Path) -> bool:
    return "site-packages" in path.parts


def _module_file(name: str, root: Path) -> Path | None:
    base = root.joinpath(*name.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None
