"""The columns of a model, as its files describe them."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from waterflow.errors import StoreError
from waterflow.tracking.model_files import TRAINED_TYPES, InputColumn, read_example, read_inputs
from waterflow.tracking.model_signature import trained_types


def write_model(folder: Path, types: dict[str, str], **metadata: Any) -> None:
    """Write the files that describe a model's columns."""
    inputs = json.dumps([{"name": name, "type": kind} for name, kind in types.items()])
    description = {"signature": {"inputs": inputs}, "metadata": metadata}
    (folder / "MLmodel").write_text(yaml.safe_dump(description))


def test_the_type_is_that_of_training(tmp_path: Path) -> None:
    """What MLflow takes is wider than what training saw, and what serving needs to know."""
    write_model(tmp_path, {"x": "any", "n": "long"}, **{TRAINED_TYPES: {"x": "double", "n": "long"}})
    assert read_inputs(tmp_path) == [InputColumn("x", "double"), InputColumn("n", "long", strict=True)]


def test_a_model_that_does_not_say_its_types_is_refused(tmp_path: Path) -> None:
    """Types guessed from its example would refuse rows that training took."""
    write_model(tmp_path, {"x": "any"})
    with pytest.raises(StoreError, match="do not describe its columns"):
        read_inputs(tmp_path)


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pd.Series([1, 2]), "long"),
        (pd.Series([1.0, 2.0]), "double"),
        (pd.Series([None, None], dtype="float64"), "double"),
        (pd.Series([True, None], dtype=object), "boolean"),
        (pd.Series(["a", None], dtype=object), "string"),
        (pd.Series(["a", "b"], dtype="category"), "string"),
        (pd.Series(pd.to_datetime(["2026-05-01"])), "datetime"),
    ],
)
def test_the_dtype_decides_the_type(column: pd.Series, kind: str) -> None:
    """A column of fractions may hold whole numbers, or nothing, in its first rows."""
    assert trained_types(column.to_frame("x")) == {"x": kind}


def test_an_example_is_a_row(tmp_path: Path) -> None:
    """Pages show it."""
    (tmp_path / "input_example.json").write_text(json.dumps({"columns": ["n", "x"], "data": [[1, None], [2, 3.0]]}))
    assert read_example(tmp_path) == {"n": 1, "x": None}
