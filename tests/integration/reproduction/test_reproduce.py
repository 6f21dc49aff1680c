"""Real versions, trained again in real processes."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.projects import FLOWERS, candidates, message_of, write_pipeline, write_rows
from support.tracing import MODULE, alter, commit_all, git, path_of, version_of

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.datasets.loaders import iris
from waterflow.errors import ReproduceError, StoreError
from waterflow.lineage.graph import broken_nodes, trace_lineage, walk_lineage
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.reproduction.code_checkout import find_code
from waterflow.reproduction.environment_check import check_environment
from waterflow.reproduction.reproduce import fetch_inputs, reproduce
from waterflow.resources import Resources
from waterflow.tracking.registry import Version

Writer = Callable[..., str]
TREE: dict[str, Any] = {
    "estimator": "sklearn.tree.DecisionTreeClassifier",
    "params": {"max_depth": 1},
    "search": {"trials": 3, "space": {"max_depth": {"low": 1, "high": 6, "integer": True}}},
}
BOOSTED: dict[str, Any] = {
    "estimator": "xgboost.XGBClassifier",
    "params": {"n_estimators": 40, "subsample": 0.7},
    "search": {"trials": 2, "space": {"max_depth": {"low": 2, "high": 4, "integer": True}}},
    "early_stopping_rounds": 3,
}
RANDOM = MODULE.replace("*= FACTOR", "*= np.random.uniform(0.9, 1.1)")


def listed(strategy: str, **named: Any) -> dict[str, Any]:
    """List candidates under a strategy, with few resamples."""
    return candidates(**named) | {
        "defaults": [{"/strategy": strategy}],
        "tuning": None,
        "promotion": {"resamples": 200},
    }


def quiet(text: str) -> None:
    """Say nothing."""


@pytest.mark.parametrize(("strategy", "model"), [("rigorous", BOOSTED), ("balanced", TREE)])
def test_a_tuned_version_is_had_again_to_the_last_bit(
    resources: Resources, pipeline: Writer, strategy: str, model: dict[str, Any]
) -> None:
    """With the parameters and the rounds that tuning and folds came to; no trial is made, no fold fitted."""
    version = version_of(pipeline(**listed(strategy, tuned=model)), resources, full=True)
    studies = Path(resources.profile.find_database().removeprefix("sqlite:///"))
    before, listing = studies.stat().st_mtime_ns, resources.registry.list_versions(version.model)
    outcome = reproduce(version, resources, report=quiet)
    assert outcome.reproduced, [line for line in outcome.lines if not line.agrees]
    assert (outcome.tolerance, outcome.rows, outcome.rows_differing, outcome.largest_difference) == (0, 30, 0, 0.0)
    compared = {line.what for line in outcome.lines}
    assert {"digest of data", "parameter max_depth", "metric test_f1_macro"} <= compared
    assert {"predictions of the registered model", "predictions when it was compared"} <= compared
    assert studies.stat().st_mtime_ns == before
    assert resources.registry.list_versions(version.model) == listing


def test_a_decision_is_had_again_with_its_constants(resources: Resources, pipeline: Writer) -> None:
    """Threshold and calibration come from the record, not from a second choice."""
    rows = iris()
    write_rows(resources.project, rows.assign(species=rows["species"] == "versicolor"), "two.csv")
    changes = {"dataset": {"kind": "csv", "path": "data/two.csv"}, "calibration": "isotonic", "gate": None}
    changes |= {"costs": {"false_alarm": 1, "miss": 5}, "metrics": {"main": "expected_cost"}}
    name = pipeline(**listed("rigorous", nb="sklearn.naive_bayes.GaussianNB"), **changes)
    version = version_of(name, resources, full=True)
    outcome = reproduce(version, resources, report=quiet)
    assert outcome.reproduced, [line for line in outcome.lines if not line.agrees]


def test_the_outcome_is_a_run_of_its_own(resources: Resources, pipeline: Writer) -> None:
    """Tagged, with the comparison, and no part of any other run."""
    version = version_of(pipeline(**listed("balanced", nb="sklearn.naive_bayes.GaussianNB")), resources, full=True)
    outcome = reproduce(version, resources, report=quiet)
    run = resources.runs.client.get_run(outcome.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["waterflow.kind"] == "reproduction"
    assert run.data.tags["waterflow.reproduces"] == f"{version.model}@{version.version}"
    assert run.data.tags["waterflow.reproduced"] == "true"
    for tag in ("mlflow.parentRunId", "waterflow.run_identity", "waterflow.action_key", "waterflow.runner"):
        assert tag not in run.data.tags
    logged = resources.runs.read_json(outcome.run_id, "comparison.json")
    assert logged is not None
    assert logged["rows_differing"] == 0
    assert resources.runs.list_running() == []
    assert workflow.explain_run(version.model, None, resources).run.run_id != outcome.run_id


def test_randomness_without_a_seed_is_shown_where_it_is(
    resources: Resources, pipeline: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not reproduced; the rows that differ are an artifact."""
    (tmp_path / "ours_random.py").write_text(RANDOM)
    monkeypatch.syspath_prepend(tmp_path)
    version = version_of(pipeline(**listed("balanced", ours="ours_random.Ours")), resources, full=True)
    outcome = reproduce(version, resources, report=quiet)
    assert not outcome.reproduced
    assert outcome.rows_differing > 20
    assert outcome.largest_difference is not None
    assert outcome.largest_difference > 1e-6
    assert outcome.first_rows[0].keys() >= {"row", "probability_setosa_recorded", "probability_setosa_again"}
    apart = {line.what for line in outcome.lines if not line.agrees}
    assert {"metric test_log_loss", "predictions when it was compared"} <= apart
    assert "digest of data" not in apart
    client = resources.runs.client
    assert client.get_run(outcome.run_id).data.tags["waterflow.reproduced"] == "false"
    rows = pd.read_parquet(client.download_artifacts(outcome.run_id, "differing_rows.parquet", str(tmp_path)))
    assert len(rows) == outcome.rows_differing


def test_code_that_changed_since_is_taken_from_its_commit(tracked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what was not committed then; the checkout stays as it is."""
    root, module = tracked.root, tracked.root / "ours_committed.py"
    monkeypatch.syspath_prepend(root)
    write_pipeline(tracked, "flowers", FLOWERS, **listed("balanced", ours="ours_committed.Ours"))
    module.write_text(MODULE)
    commit = commit_all(root)
    module.write_text(MODULE.replace("FACTOR = 1.0", "FACTOR = 1.1"))
    resources = workflow.open_resources(tracked)
    version = version_of("flowers", resources, full=True)
    module.write_text(MODULE.replace("FACTOR = 1.0", "FACTOR = 3.0"))
    commit_all(root, "two")
    outcome = reproduce(version, resources, report=quiet)
    assert outcome.reproduced, [line for line in outcome.lines if not line.agrees]
    assert outcome.code == f"commit {commit[:12]} with its uncommitted changes, in a work tree of its own"
    assert "FACTOR = 3.0" in module.read_text()
    assert git(root, "status", "--porcelain") == ""


@pytest.fixture(scope="module")
def plain(resources: Resources) -> Version:
    """Return a version that is not trained again."""
    write_pipeline(
        resources.project, "plain", FLOWERS, **listed("balanced", nb="sklearn.naive_bayes.GaussianNB"), seed=77
    )
    return version_of("plain", resources)


@pytest.mark.parametrize("name", ["data", "split", "config"])
def test_an_input_that_was_altered_or_is_gone_is_refused(
    resources: Resources, plain: Version, tmp_path: Path, name: str
) -> None:
    """Nothing is trained on it."""
    history = VersionHistory(plain, resources)
    blob = getattr(history.prepared, name)
    kept = path_of(blob, resources).read_bytes()
    alter(blob, resources)
    message = message_of(lambda: fetch_inputs(history, resources, tmp_path), StoreError)
    assert "altered or cut short" in message
    path_of(blob, resources).unlink()
    assert "no such object" in message_of(lambda: fetch_inputs(history, resources, tmp_path), StoreError)
    path_of(blob, resources).write_bytes(kept)


def test_a_version_that_serves_other_files_is_refused(resources: Resources, plain: Version) -> None:
    """Whoever loads it from the registry gets those, whatever the model of the fit says."""
    path, place = resources.runs.uri.removeprefix("sqlite:///"), "name = 'plain'"
    with closing(sqlite3.connect(path)) as database:
        (before,) = database.execute(f"SELECT storage_location FROM model_versions WHERE {place}").fetchone()
        database.execute(f"UPDATE model_versions SET storage_location = '/elsewhere' WHERE {place}")
        database.commit()
        message = message_of(lambda: reproduce(plain, resources), StoreError)
        database.execute(f"UPDATE model_versions SET storage_location = ? WHERE {place}", (before,))
        database.commit()
    assert message == f"plain version 1: the registry serves files at /elsewhere, not those of its fit: {before}"


def test_what_is_no_longer_recorded_is_not_compared(resources: Resources, pipeline: Writer) -> None:
    """It neither agrees nor differs, and the outcome names it."""
    version = version_of(pipeline(**listed("balanced", nb="sklearn.naive_bayes.GaussianNB")), resources, full=True)
    history = VersionHistory(version, resources)
    assert history.evaluated.verdict is not None
    assert history.evaluated.verdict.predictions is not None
    path_of(history.evaluated.verdict.predictions, resources).unlink()
    with closing(sqlite3.connect(resources.runs.uri.removeprefix("sqlite:///"))) as database:
        key = ("test_accuracy", history.registration_run.run_id)
        database.execute("DELETE FROM latest_metrics WHERE key = ? AND run_uuid = ?", key)
        database.commit()
    outcome = reproduce(version, resources, report=quiet)
    assert outcome.reproduced
    assert outcome.not_compared == ("metric test_accuracy", "predictions when it was compared")


def test_another_lock_is_refused_with_the_packages_that_differ(
    resources: Resources, plain: Version, tmp_path: Path
) -> None:
    """By the bytes of the lock that were kept then."""
    lock = resources.project.lock_file
    before = lock.read_text()
    lock.write_text(before.replace("\nscikit-learn==", "\nscikit-learn==0."))
    message = message_of(lambda: reproduce(plain, resources), ReproduceError)
    lock.write_text(before)
    assert "was fitted under another requirements.lock (scikit-learn " in message
    assert " → 0." in message


def test_a_lock_that_is_gone_from_the_store_is_refused(resources: Resources, plain: Version, tmp_path: Path) -> None:
    """What packages there were is not known."""
    blob = VersionHistory(plain, resources).provenance.lock
    assert blob is not None
    kept = path_of(blob, resources).read_bytes()
    path_of(blob, resources).unlink()
    message = message_of(lambda: check_environment(VersionHistory(plain, resources), resources, tmp_path), StoreError)
    path_of(blob, resources).write_bytes(kept)
    assert "no such object" in message


def test_another_package_than_the_lock_says_is_refused(
    resources: Resources, plain: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock file is the same; what is installed is not."""
    monkeypatch.setattr(
        "waterflow.reproduction.environment_check._installed", lambda name: "0.0" if name == "numpy" else "–"
    )
    message = message_of(
        lambda: check_environment(VersionHistory(plain, resources), resources, tmp_path), ReproduceError
    )
    assert "what is installed is not what requirements.lock says (" in message


def test_without_a_lock_what_was_installed_counts(
    resources: Resources, pipeline: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lineage is whole, it is reproduced, and refused under other packages."""
    resources.project.lock_file.unlink()
    version = version_of(pipeline(**listed("balanced", nb="sklearn.naive_bayes.GaussianNB")), resources, full=True)
    history = VersionHistory(version, resources)
    found = trace_lineage(history, Verifier(resources))
    assert broken_nodes(found) == []
    assert "installed packages" in {node.kind for node in walk_lineage(found)}
    outcome = reproduce(version, resources, report=quiet)
    assert outcome.reproduced, [line for line in outcome.lines if not line.agrees]
    monkeypatch.setattr("waterflow.reproduction.environment_check._installed", lambda name: "0.0")
    message = message_of(lambda: check_environment(history, resources, tmp_path), ReproduceError)
    assert "what is installed is not what was then (" in message


def test_another_python_or_platform_is_refused(
    resources: Resources, plain: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Floats may differ there."""
    monkeypatch.setattr("waterflow.reproduction.environment_check.platform_name", lambda: "plan9-vax")
    message = message_of(
        lambda: check_environment(VersionHistory(plain, resources), resources, tmp_path), ReproduceError
    )
    assert "and this is Python" in message
    assert "plan9-vax" in message


def test_without_git_unchanged_code_will_do_and_changed_code_will_not(
    resources: Resources, plain: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image has no checkout; the digest of the code decides."""
    history = VersionHistory(plain, resources)
    assert (
        find_code(history, resources, tmp_path).description
        == "the present code, which is that of the fit by its digest"
    )
    monkeypatch.setattr("waterflow.lineage.verification.train_key", lambda *_: "another")
    message = message_of(lambda: find_code(history, resources, tmp_path), ReproduceError)
    assert "the code has changed since its fit, and no commit was recorded" in message


def test_a_commit_without_the_program_says_so(
    tracked: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code that is older than the command cannot train a version by itself."""
    package = tracked.root / "src" / "waterflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    commit = commit_all(tracked.root)
    resources = workflow.open_resources(tracked)
    write_pipeline(tracked, "flowers", FLOWERS, **listed("balanced", nb="sklearn.naive_bayes.GaussianNB"))
    version = version_of("flowers", resources)
    commit_all(tracked.root, "two")
    monkeypatch.setattr("waterflow.reproduction.code_checkout.SOURCE_ROOT", package.parent)
    message = message_of(lambda: find_code(VersionHistory(version, resources), resources, tmp_path), ReproduceError)
    assert f"commit {commit[:12]} is older than `waterflow reproduce`" in message


def test_the_other_process_has_the_threads_of_the_fit(
    resources: Resources, plain: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever this process was told."""
    history = VersionHistory(plain, resources)
    monkeypatch.setenv("WATERFLOW_THREADS", "7")
    threads = fetch_inputs(history, resources, tmp_path)
    environment = find_code(history, resources, tmp_path).environment(threads)
    assert threads == history.trained.threads == 1
    assert environment["OMP_NUM_THREADS"] == "1"
    assert "WATERFLOW_THREADS" not in environment
    assert json.loads((tmp_path / "fit.json").read_text())["threads"] == 1
