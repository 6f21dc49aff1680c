"""Source files behind a step, and their digests. They are found by following imports."""

import ast
import sys
import sysconfig
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from waterflow.provenance.hashing import digest_of, sha256_of

SOURCE_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class ImportClosure:
    """Source files and installed packages that some modules import."""

    files: Mapping[str, Path]
    packages: frozenset[str]

    def __or__(self, other: "ImportClosure") -> "ImportClosure":
        """Return the union of two closures."""
        return ImportClosure({**self.files, **other.files}, self.packages | other.packages)

    def digests(self) -> dict[str, str]:
        """Hash each source file, by module in order of name."""
        return {name: sha256_of(path) for name, path in sorted(self.files.items())}


def trace_imports(
    modules: Iterable[str], roots: Sequence[Path] = (), *, outside: Collection[str] = ()
) -> ImportClosure:
    """Follow imports from some modules, those inside functions too.

    A module's parent packages count, for importing it runs them. Besides Waterflow's own, sources are looked for below
    `roots` and the entries of `sys.path` that hold no installed packages. Imports of what lies in `outside` are not
    followed.
    """
    own = {root: {path.name.partition(".")[0] for path in root.iterdir()} for root in [*roots, *_source_roots()]}
    files: dict[str, Path] = {}
    seen: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if not name or name in seen or _is_within(name, outside):
            continue
        seen.add(name)
        parent = name.rpartition(".")[0]
        waiting.append(parent)
        if parent in files and files[parent].stem != "__init__":
            continue  # a name inside of a module
        top = name.partition(".")[0]
        places = [SOURCE_ROOT] if top == "waterflow" else [root for root, names in own.items() if top in names]
        path = _find_source(name, places)
        if path is not None:
            files[name] = path
            imported = _imports_in(path.read_text("utf-8"), name if path.stem == "__init__" else parent)
            waiting += reversed(imported)  # a module before the names in it
    sources, tops = ({name.partition(".")[0] for name in names} for names in (files, seen))
    return ImportClosure(files, frozenset(tops - sources - sys.stdlib_module_names))


def trace_estimator(estimator_path: str) -> ImportClosure:
    """Follow the imports of an estimator's module. The estimator is named by its dotted path."""
    module = estimator_path.rpartition(".")[0]
    # An editable install may have a finder of its own. Finding a submodule would import its package.
    spec = find_spec(module.partition(".")[0])
    places = [*(spec.submodule_search_locations or [spec.origin or ""])] if spec and spec.has_location else []
    return trace_imports([module], [Path(place).parent for place in places if not _is_installed(Path(place))])


def code_digest(module: str) -> str:
    """Hash the sources that a module reaches by imports."""
    return digest_of(trace_imports([module]).digests())


def list_modules(package: str) -> list[str]:
    """List the dotted names of a package's modules. The package is one of Waterflow's."""
    files = sorted(SOURCE_ROOT.joinpath(*package.split(".")).rglob("*.py"))
    parts = (file.relative_to(SOURCE_ROOT).with_suffix("").parts for file in files)
    return [".".join(names[:-1] if names[-1] == "__init__" else names) for names in parts]


def _source_roots() -> list[Path]:
    places = dict.fromkeys(Path(entry or ".").resolve() for entry in sys.path)
    return [path for path in places if is_source_root(path)]


def is_source_root(path: Path) -> bool:
    """Return whether an entry of `sys.path` holds sources. Python's own and installed packages are none."""
    library = Path(sysconfig.get_path("stdlib")).resolve()
    return path.is_dir() and not path.is_relative_to(library) and not _is_installed(path)


def is_own_root(path: Path) -> bool:
    """Return whether an entry of `sys.path` has the user's sources. That is, none of Waterflow's."""
    return is_source_root(path) and path != SOURCE_ROOT


def _find_source(name: str, roots: Sequence[Path]) -> Path | None:
    parts = name.split(".")
    for root in roots:
        for path in (root.joinpath(*parts, "__init__.py"), root.joinpath(*parts).with_suffix(".py")):
            if path.is_file():
                return path
    return None


def _is_installed(path: Path) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def _is_within(module: str, packages: Collection[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@cache  # the steps of one process look at the same sources, and parsing them is slow
def _imports_in(source: str, package: str) -> list[str]:
    """List what a module's text imports. `from a import b` may mean the module `a.b`."""
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
    """Yield every statement, inner ones too. An import is one, and expressions are most of a tree."""
    for node in nodes:
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from _statements(getattr(node, field, ()))
