"""A package of a user's own in every place that YAML lets it stand, from its rows to a model without it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from support.own_package import own_pipeline, write_package
from support.projects import copy_database, make_project, message_of, predict_elsewhere, request_of, write_pipeline
from support.tracing import commit_all

from waterflow import workflow
from waterflow.caching.keys import fitting, key_of
from waterflow.config.compose import compose_pipeline
from waterflow.datasets.loaders import iris
from waterflow.errors import ConfigError
from waterflow.lineage.version_history import VersionHistory, find_version
from waterflow.operations.audit import audit
from waterflow.records.run import Window
from waterflow.reproduction.reproduce import reproduce
from waterflow.resources import Resources
from waterflow.serving.loaded_champion import load_version

PACKAGE = "orchard"


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory, tracking_template: Path) -> Iterator[Resources]:
    """A repository with a pipeline of own code, whose package git does not track; one run has made a champion."""
    project = make_project(tmp_path_factory.mktemp("own"))
    copy_database(project, tracking_template)
    write_pipeline(project, PACKAGE, own_pipeline(PACKAGE))
    commit_all(project.root)
    write_package(project, PACKAGE)
    opened = workflow.open_resources(project)
    workflow.run_all(request_of(PACKAGE), opened)
    yield opened
    sys.path.remove(str(project.root / "own"))


def history_of(resources: Resources) -> VersionHistory:
    return VersionHistory(find_version(f"{PACKAGE}@champion", resources), resources)


def test_the_run_makes_a_champion_that_staging_has_checked(resources: Resources) -> None:
    """It is compared by the package's metric with the package's baseline, and served without the package."""
    history = history_of(resources)
    staged = {name: text for name, text in history.version.tags.items() if name.startswith("waterflow.staging.")}
    assert staged["waterflow.staging.loads"].startswith("passed")
    assert staged["waterflow.staging.predictions"].startswith("passed")
    verdict = history.evaluated.verdict
    assert verdict is not None
    assert (verdict.metric, verdict.outcome) == ("right_share", "promote")
    assert verdict.against == f"baseline {PACKAGE}.metrics.always_setosa"
    assert [entry.metric for entry in verdict.metrics] == ["right_share", "accuracy"]  # and no probabilities
    own, known = verdict.metrics
    assert own.difference == pytest.approx(known.difference)
    assert (own.low, own.high) == pytest.approx((known.low, known.high), abs=0.02)
    held_out = iris().assign(row=range(150)).sample(frac=0.9, random_state=0)["row"] % 4 == 0
    assert verdict.rows == held_out.sum()


def test_untracked_modules_are_uncommitted_changes(resources: Resources) -> None:
    """The tree is not clean, and the run keeps what git does not have."""
    history = history_of(resources)
    assert history.provenance.dirty
    assert history.provenance.diff is not None
    blob = Path(resources.store.uri.removeprefix("file://")) / history.provenance.diff.key
    added = {line.removeprefix("+++ b/") for line in blob.read_text("utf-8").splitlines() if line.startswith("+++ ")}
    assert added == {
        f"own/{PACKAGE}/{name}.py" for name in ("__init__", "source", "features", "arithmetic", "models", "metrics")
    }


def test_the_champion_loads_where_the_package_is_not(resources: Resources, tmp_path: Path) -> None:
    """MLflow alone predicts raw columns: features, transformer and estimator came with the model."""
    rows = (
        iris().drop(columns="species").set_axis(["sepal_length", "sepal_width", "petal_length", "petal_width"], axis=1)
    )
    answers = predict_elsewhere(resources.runs.uri, PACKAGE, rows.iloc[[0, 60, 120]], tmp_path)
    assert answers == ["setosa", "versicolor", "virginica"]


def test_the_champion_predicts_a_file_after_the_package_is_gone(
    resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its modules are in the model, so neither the command nor a notebook asks for those of the project."""
    rows = iris().drop(columns="species").iloc[[0, 60, 120]]
    rows = rows.set_axis(["sepal_length", "sepal_width", "petal_length", "petal_width"], axis=1)
    rows.to_csv(tmp_path / "rows.csv", index=False)
    folder = resources.project.root / "own" / PACKAGE
    folder.rename(folder.with_name("away"))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.chdir(resources.project.root)
    try:
        written = str(tmp_path / "out.parquet")
        workflow.predict_file(PACKAGE, str(tmp_path / "rows.csv"), written, Window(), resources, lambda count: None)
        loaded = load_version(find_version(PACKAGE, resources), resources.runs)
        answers = loaded.predict(rows).tolist()
    finally:
        folder.with_name("away").rename(folder)
    assert pd.read_parquet(written)["prediction"].tolist() == answers == ["setosa", "versicolor", "virginica"]


def test_an_edit_of_a_helper_is_another_action(resources: Resources) -> None:
    """What a module imports decides a fit as much as the module itself; what nothing imports decides nothing."""
    history, helper = history_of(resources), resources.project.root / "own" / PACKAGE / "arithmetic.py"

    def key() -> str:
        return key_of(fitting(history.prepared, history.config, "nearest", resources))

    before, text = key(), helper.read_text()
    helper.with_name("stranger.py").write_text("VALUE = 1\n")
    assert key() == before
    helper.write_text(text.replace("first * second", "second * first"))
    try:
        assert key() != before
    finally:
        helper.write_text(text)


def test_it_is_reproduced_after_its_files_are_gone(resources: Resources) -> None:
    """The run kept them; audit says nothing but good, and no traceback."""
    folder = resources.project.root / "own" / PACKAGE
    folder.rename(folder.with_name("away"))
    try:
        outcome = reproduce(find_version(f"{PACKAGE}@champion", resources), resources, report=lambda text: None)
        result = audit(PACKAGE, resources, reproduced=0, report=lambda text: None)
    finally:
        folder.with_name("away").rename(folder)
    assert outcome.reproduced, [line for line in outcome.lines if not line.agrees]
    assert "uncommitted changes" in outcome.code
    assert not result.findings


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        (
            {"features": {"function": f"{PACKAGE}.features.add_area"}},
            ["features.function", "add_areas'?", "features.py"],
        ),
        ({"features": {"function": f"{PACKAGE}.feature.add_areas"}}, [f"did you mean '{PACKAGE}.features'?", "own/"]),
        ({"dataset": {"kind": "python", "function": "load"}}, ["dataset.function", "no dotted path"]),
        ({"promotion": {"baseline": f"{PACKAGE}.metrics.always"}}, ["promotion.baseline", "always_setosa'?"]),
        ({"features": {"function": "a.b", "column": []}}, ["features.column: unknown key", "did you mean 'columns'?"]),
        ({"weight": "weight"}, ["right_share", "takes no sample_weight"]),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(
    resources: Resources, changes: dict[str, object], parts: list[str]
) -> None:
    """The line names key and path, the file that was looked in, and what may be meant."""
    write_pipeline(resources.project, "wrong", own_pipeline(PACKAGE), **changes)
    message = message_of(lambda: compose_pipeline(resources.project, "wrong"), ConfigError)
    assert all(part in message for part in parts), message


def test_a_module_that_did_not_travel_is_found_before_it_serves(resources: Resources) -> None:
    """Staging runs where the package is not, so an import inside a method fails there and not in service."""
    folder = resources.project.root / "own" / PACKAGE
    (folder / "late.py").write_text(
        f"from {PACKAGE}.models import Nearest\n\n\n"
        "class Late(Nearest):\n"
        "    def predict(self, X):\n"
        f"        from {PACKAGE}.arithmetic import multiply\n"
        "        return super().predict(multiply(X, 1.0))\n"
    )
    keys = own_pipeline(PACKAGE) | {"candidates": {"late": {"estimator": f"{PACKAGE}.late.Late"}}}
    write_pipeline(resources.project, "late", keys)
    registered = workflow.run_all(request_of("late"), resources)
    failed = {check.name: check.actual for check in registered.checks if not check.passed}
    assert f"No module named '{PACKAGE}'" in failed["predictions"]
    assert "champion" not in registered.aliases
