from collections.abc import Callable
from typing import Any

from support.projects import request_of, write_rows

from waterflow.datasets.loaders import iris
from waterflow.resources import Resources
from waterflow.steps.prepare import prepare

Writer = Callable[..., str]
CSV: dict[str, Any] = {"dataset": {"kind": "csv", "path": "data/leaks.csv"}}


def warning_of(resources: Resources, name: str) -> str | None:
    """Prepare a pipeline and return the warning `leak` of its run."""
    prepared = prepare(request_of(name), resources)
    tag: str | None = resources.runs.client.get_run(prepared.parent_run_id).data.tags.get("waterflow.warning.leak")
    return tag


def test_a_feature_that_tells_the_target_raises_a_warning(resources: Resources, pipeline: Writer) -> None:
    """The run names the column and how well it separates; it goes on all the same."""
    rows = iris()
    rows["lab_code"] = rows["species"].map({"setosa": 1.5, "versicolor": 2.5, "virginica": 3.5})
    write_rows(resources.project, rows, "leaks.csv")
    assert warning_of(resources, pipeline(**CSV)) == "lab_code (1.0000)"


def test_a_column_known_after_the_outcome_raises_none(resources: Resources, pipeline: Writer) -> None:
    """It is no feature."""
    rows = iris()
    rows["lab_code"] = rows["species"].str.len() + rows["species"].str.count("i")
    write_rows(resources.project, rows, "leaks.csv")
    assert warning_of(resources, pipeline(**CSV, known_after=["lab_code"])) is None


def test_honest_flowers_raise_none(resources: Resources, pipeline: Writer) -> None:
    """No measurement alone separates all three species."""
    assert warning_of(resources, pipeline()) is None
