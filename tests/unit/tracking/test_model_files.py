"""The columns of a model, as its files describe them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from waterflow.tracking.model_files import InputColumn, read_example, read_inputs


def write_model(folder: Path, types: dict[str, str], rows: list[list[Any]]) -> None:
    """Write the files that describe a model's columns."""
    inputs = json.dumps([{"name": name, "type": kind} for name, kind in types.items()])
    (folder / "MLmodel").write_text(yaml.safe_dump({"signature": {"inputs": inputs}}))
    (folder / "input_example.json").write_text(json.dumps({"columns": list(types), "data": rows}))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2], "long"),
        ([1.0, 2.5], "double"),
        ([None, 2.5], "double"),
        ([1, 2.5], "double"),
        ([True, None], "boolean"),
        (["a", None], "string"),
        ([None, None], "any"),
        (["a", 1], "any"),
    ],
)
def test_the_example_tells_the_type_where_the_signature_takes_any(tmp_path: Path, values: list[Any], kind: str) -> None:
    """What MLflow takes is wider than what training saw, and what serving needs to know."""
    write_model(tmp_path, {"x": "any"}, [[value] for value in values])
    assert read_inputs(tmp_path) == [InputColumn("x", kind, takes_nulls=True)]


def test_the_signature_comes_first(tmp_path: Path) -> None:
    """Integers that are never null, and times, are of the type that it names."""
    write_model(tmp_path, {"n": "long", "at": "datetime"}, [[1, "2026-05-01T00:00:00"], [2, None]])
    assert read_inputs(tmp_path) == [InputColumn("n", "long"), InputColumn("at", "datetime")]
    assert read_example(tmp_path) == {"n": 1, "at": "2026-05-01T00:00:00"}
