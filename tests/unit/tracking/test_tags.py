"""Names in MLflow are defined in one place."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import waterflow
from waterflow.tracking import tags

ROOT = Path(waterflow.__file__).parent
NAMES = {value for name, value in vars(tags).items() if name.isupper()}
SHAPE = re.compile(r"(waterflow|mlflow|metric)\.\w+(\.\w+)?|waterflow/\S*|(test|verdict)_")


def strings_of(path: Path) -> Iterator[str]:
    """Yield the strings of a module that are no docstrings, and the constant parts of its f-strings."""
    tree = ast.parse(path.read_text("utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from re.split("[` ']", node.value)


def is_module(name: str) -> bool:
    """Return whether a dotted name is a module of Waterflow, or one of MLflow's that logs."""
    path = ROOT.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file() or name in ("mlflow.sklearn", "mlflow.transformers")


def test_no_other_module_types_such_a_name() -> None:
    """A name that is typed twice can differ between the module that writes it and the one that reads it."""
    paths = [path for path in ROOT.rglob("*.py") if path.name != "tags.py"]
    typed = {path.name: [text for text in strings_of(path) if SHAPE.fullmatch(text)] for path in paths}
    assert not [(path, name) for path, names in typed.items() for name in names if not is_module(name)]


def test_names_are_defined_once() -> None:
    """Two constants of one value would be two names for the same thing."""
    assert len(NAMES) == sum(name.isupper() for name in vars(tags))


def test_tags_import_nothing() -> None:
    """Every layer above may use them at no cost."""
    assert not [
        node for node in ast.walk(ast.parse(Path(tags.__file__).read_text("utf-8"))) if "Import" in type(node).__name__
    ]
