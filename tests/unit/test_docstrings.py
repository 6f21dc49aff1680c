"""The first sentence of a docstring is what lists and tooltips show; a step is read at one glance."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import waterflow

MOST_WORDS = 10
MOST_LINES_OF_A_STEP = 120


def long_sentences(root: Path) -> Iterator[str]:
    """Yield the place of each docstring whose first sentence is too long, with its length."""
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                words = len(re.split(r"\.(?:\s|$)", text, maxsplit=1)[0].split())
                if words > MOST_WORDS:
                    yield f"{path.relative_to(root)}:{node.body[0].lineno} has {words} words"


def test_first_sentences_are_short() -> None:
    """At most ten words stand before the first full stop."""
    assert list(long_sentences(Path(waterflow.__file__).parent)) == []


def test_steps_are_short() -> None:
    """A step reads as a list of what it does; how it does so stands in the rooms below."""
    steps = (Path(waterflow.__file__).parent / "steps").glob("*.py")
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in steps}
    assert len(lengths) == 6
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES_OF_A_STEP} == {}
