from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.projects import FLOWERS, message_of, request_of, write_pipeline
from support.promotion import enter, evaluate_run, fitted
from support.tracing import alter, commit_all, git, path_of, remove_model, version_of

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.errors import ConfigError
from waterflow.lineage.graph import LineageNode, broken_nodes, trace_lineage, walk_lineage
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory, find_version
from waterflow.records.run import Origin
from waterflow.resources import Resources
from waterflow.steps.prepare import prepare
from waterflow.steps.register import register
from waterflow.steps.train import train
from waterflow.tracking.tags import LINEAGE_FILE

Writer = Callable[..., str]
ONE = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]


@pytest.fixture(scope="module")
def iris(resources: Resources) -> str:
    """Return a pipeline with one version that nothing is done to."""
    write_pipeline(resources.project, "iris", {**FLOWERS, "defaults": ONE})
    version = version_of("iris", resources)
    resources.registry.set_alias("iris", "champion", version.version)
    return "iris"


def lineage(reference: str, resources: Resources) -> LineageNode:
    """Trace a version, asking everybody."""
    return trace_lineage(VersionHistory(find_version(reference, resources), resources), Verifier(resources))


def by_kind(link: LineageNode) -> dict[str, LineageNode]:
    """Index a tree by kinds; of two MLflow runs the parent stays."""
    return {entry.kind: entry for entry in walk_lineage(link)}


def test_every_link_of_a_version_resolves(resources: Resources, iris: str) -> None:
    """The command and the source cannot be asked, and say so."""
    found = lineage(f"{iris}@1", resources)
    assert broken_nodes(found) == []
    kinds = [link.kind for link in walk_lineage(found)]
    assert kinds[:4] == ["version", "model", "MLflow run", "MLflow run"]
    assert set(kinds[4:]) == {
        "command", "data set", "source", "split", "configuration", "git commit", "lock file", "image"
    }  # fmt: skip
    assert {link.kind for link in walk_lineage(found) if link.resolves is None} == {"command", "source", "image"}
    assert all(link.reason for link in walk_lineage(found) if link.resolves is None)
    assert by_kind(found)["data set"].facts["rows"] == "150"
    assert by_kind(found)["source"].name == "data/flowers.csv"


def test_a_tree_survives_json(resources: Resources, iris: str) -> None:
    """What `--json` prints and the artifact holds can be read back."""
    found = lineage(f"{iris}@champion", resources)
    assert LineageNode.from_json(found.to_json()) == found
    assert "champion" in found.facts["aliases"]


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("iris@", "version: 'iris@' names no version; write it like iris@3 or iris@champion"),
        ("@champion", "write it like iris@3"),
        ("iris@0", "write it like iris@3"),
        ("iris@-1", "write it like iris@3"),
        ("iris@1.0", "write it like iris@3"),
        ("iris@1@2", "write it like iris@3"),
        ("tulips@1", "model: 'tulips' is not registered; valid: iris"),
        ("iris@7", "version: iris has no version 7; the newest are 1"),
        ("iris@staging", "alias: 'staging' points to no version of iris; valid: champion"),
    ],
)
def test_a_reference_that_names_nothing_is_refused(resources: Resources, iris: str, reference: str, said: str) -> None:
    """With what would be valid."""
    assert said in message_of(lambda: find_version(reference, resources), ConfigError)


def test_an_object_that_was_altered_is_the_one_broken_link(resources: Resources, pipeline: Writer) -> None:
    """Its digest is compared with its bytes."""
    version = version_of(pipeline(seed=41), resources)
    history = VersionHistory(version, resources)
    alter(history.prepared.config, resources)
    broken = broken_nodes(trace_lineage(history, Verifier(resources)))
    assert [link.kind for link in broken] == ["configuration"]
    assert "altered or cut short" in broken[0].reason


def test_an_object_that_is_gone_is_named(resources: Resources, pipeline: Writer) -> None:
    """With its place."""
    history = VersionHistory(version_of(pipeline(split={"kind": "stratified", "seed": 42}), resources), resources)
    path_of(history.prepared.split, resources).unlink()
    broken = broken_nodes(trace_lineage(history, Verifier(resources)))
    assert [link.kind for link in broken] == ["split"]
    assert "no such object" in broken[0].reason


def test_a_model_without_files_is_named(resources: Resources, pipeline: Writer) -> None:
    """The rest of the history is shown all the same."""
    version = version_of(pipeline(), resources)
    remove_model(version.tags["waterflow.model_id"], resources)
    found = trace_lineage(VersionHistory(version, resources), Verifier(resources))
    assert [link.kind for link in broken_nodes(found)] == ["model"]
    assert by_kind(found)["data set"].resolves is True


def test_a_model_that_was_deleted_is_named(resources: Resources, pipeline: Writer) -> None:
    """With it goes the way to the run that fitted it; the one that registered the version is still shown."""
    version = version_of(pipeline(), resources)
    resources.runs.client.delete_logged_model(version.tags["waterflow.model_id"])
    found = trace_lineage(VersionHistory(version, resources), Verifier(resources))
    assert [link.kind for link in broken_nodes(found)] == ["model"]
    assert found.upstream[1].name == version.tags["waterflow.parent_run_id"]


def test_a_run_that_was_deleted_is_named(resources: Resources, pipeline: Writer) -> None:
    """What only it knew is not made up."""
    version = version_of(pipeline(), resources)
    resources.runs.client.delete_run(version.tags["waterflow.parent_run_id"])
    broken = broken_nodes(trace_lineage(VersionHistory(version, resources), Verifier(resources)))
    assert [link.kind for link in broken] == ["MLflow run"]
    assert "MLflow has no such run any more" in broken[0].reason


def test_a_version_that_waterflow_did_not_register_says_so(resources: Resources, pipeline: Writer) -> None:
    """One made by hand has no tags."""
    version = replace(version_of(pipeline(), resources), tags={})
    broken = broken_nodes(trace_lineage(VersionHistory(version, resources), Verifier(resources)))
    assert "Waterflow did not register it" in broken[0].reason


def test_a_fit_of_another_run_leads_to_that_run(resources: Resources, pipeline: Writer) -> None:
    """A version whose model came from the cache has two runs: the one that fitted it, and its own."""
    name = pipeline()
    first, evaluated = fitted(name, resources, "run_1")
    second = prepare(request_of(name, "run_2"), resources)
    again = train(second, "gaussian_nb", second.origin, resources)
    taken = evaluated.winner.model_copy(update={"run_id": again.run_id})
    registered = enter(second, evaluated.model_copy(update={"ranked": (taken,)}), resources)
    version = resources.registry.get_version(name, registered.version)
    assert version is not None
    found = trace_lineage(VersionHistory(version, resources), Verifier(resources))
    assert broken_nodes(found) == []
    runs = [link.name for link in walk_lineage(found) if link.kind == "MLflow run"]
    assert runs == [evaluated.winner.run_id, first.parent_run_id, second.parent_run_id]
    assert found.upstream[1].facts["of"] == "evaluation and registration, not of the fit"


def test_a_dag_run_that_nobody_can_be_asked_for_says_why(resources: Resources, pipeline: Writer) -> None:
    """The embedded profile names no API of Airflow; dag, run and try are known from the tags."""
    origin = Origin(runner="airflow", run_id="manual__1", dag_id="train_flowers", try_number=2)
    name = pipeline()
    prepared = prepare(request_of(name).model_copy(update={"origin": origin}), resources)
    ranked = (train(prepared, "gaussian_nb", origin, resources),)
    evaluated = fitted(name, resources, "run_2")[1].model_copy(update={"ranked": ranked})
    version = resources.registry.get_version(name, enter(prepared, evaluated, resources).version)
    assert version is not None
    link = by_kind(trace_lineage(VersionHistory(version, resources), Verifier(resources)))["DAG run"]
    assert (link.resolves, link.name) == (None, "manual__1")
    assert link.reason == "not asked: profile embedded names no API of Airflow"
    assert link.facts["dag"] == "train_flowers"
    assert link.facts["train"] == "attempt 2"


def test_a_version_names_the_fit_that_its_selection_chose(resources: Resources, pipeline: Writer) -> None:
    """It was fitted again with the validation rows; both models are verified."""
    version = version_of(pipeline(split={"kind": "stratified", "seed": 43}), resources, full=True)
    history = VersionHistory(version, resources)
    winner = history.evaluated.winner
    assert winner.model_id != version.model_id
    found = trace_lineage(history, Verifier(resources))
    assert broken_nodes(found) == []
    assert [node.name for node in found.upstream if node.kind == "model"] == [version.model_id, winner.model_id]
    assert found.upstream[-1].facts == {"of": "selection", "fitted on": "train", "run": winner.run_id[:8]}
    remove_model(winner.model_id, resources)
    assert [node.name for node in broken_nodes(trace_lineage(history, Verifier(resources)))] == [winner.model_id]


def test_the_run_that_registers_keeps_the_tree(resources: Resources, pipeline: Writer) -> None:
    """As an artifact, made without fetching a byte."""
    prepared, evaluated = evaluate_run(pipeline(gate={"metric": "accuracy", "at_least": 1.1}), resources)
    registered = register(prepared, evaluated, resources)
    logged = resources.runs.read_json(prepared.parent_run_id, LINEAGE_FILE)
    assert logged is not None
    tree = LineageNode.from_json(logged)
    assert tree.name == f"{registered.model}@{registered.version}"
    assert broken_nodes(tree) == []
    assert by_kind(tree)["data set"].reason.startswith("not asked during the run")
    assert by_kind(tree)["data set"].name == prepared.data.digest


def test_a_commit_resolves_in_the_checkout_that_has_it(tracked: Project) -> None:
    """And what was not committed by its digest."""
    write_pipeline(tracked, "flowers", {**FLOWERS, "defaults": ONE})
    commit = commit_all(tracked.root)
    write_pipeline(tracked, "flowers", {**FLOWERS, "defaults": ONE}, seed=5)
    resources = workflow.open_resources(tracked)
    history = VersionHistory(version_of("flowers", resources), resources)
    found = by_kind(trace_lineage(history, Verifier(resources)))
    assert (found["git commit"].name, found["git commit"].resolves) == (commit, True)
    assert found["uncommitted changes"].resolves is True
    assert history.provenance.diff is not None
    path_of(history.provenance.diff, resources).unlink()
    assert by_kind(trace_lineage(history, Verifier(resources)))["uncommitted changes"].resolves is False


def test_a_commit_that_is_gone_is_missed_once_the_code_changes(
    tracked: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as the present code is that of the fit, by its digest, nothing is lost."""
    write_pipeline(tracked, "flowers", {**FLOWERS, "defaults": ONE})
    commit = commit_all(tracked.root)
    resources = workflow.open_resources(tracked)
    history = VersionHistory(version_of("flowers", resources), resources)
    forget_history(tracked.root)
    link = by_kind(trace_lineage(history, Verifier(resources)))["git commit"]
    assert (link.resolves, link.reason) == (True, "the present code is that of the fit, by its digest")
    monkeypatch.setattr("waterflow.caching.keys.environment_facts", lambda packages: {"numpy": "another"})
    link = by_kind(trace_lineage(history, Verifier(resources)))["git commit"]
    assert link.resolves is False
    assert f"has no commit {commit[:12]}" in link.reason


def forget_history(root: Path) -> None:
    """Rewrite the only commit, and drop what it was."""
    git(root, "commit", "-q", "--amend", "-m", "another")
    git(root, "reflog", "expire", "--expire=now", "--all")
    git(root, "gc", "-q", "--prune=now")
