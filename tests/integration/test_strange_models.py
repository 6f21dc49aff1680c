"""A pickle that a stranger put into MLflow runs nowhere, whatever its tags, name and alias say."""

import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import LoggedModelStatus
from support.commands import command_in
from support.projects import FLOWERS, message_of, request_of, write_pipeline
from support.promotion import VERDICT, champion_of, entered, kinds

from waterflow import notebook, workflow
from waterflow.caching.keys import fitting, key_of
from waterflow.errors import LedgerError, SignatureError, StoreError
from waterflow.lineage.graph import broken_nodes, trace_lineage
from waterflow.lineage.verification import Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.operations.audit import audit
from waterflow.promotion.rollback import rollback
from waterflow.promotion.staging import check_version, serving_process
from waterflow.provenance.hashing import digest_of, sha256_of
from waterflow.provenance.signing import Keyring, SigningKey
from waterflow.provenance.signing_keys import load_keyring
from waterflow.reproduction.reproduce import reproduce
from waterflow.resources import Resources, load_config
from waterflow.steps.prepare import prepare
from waterflow.steps.promote import promote
from waterflow.steps.train import train
from waterflow.tracking import tags as tag
from waterflow.tracking.artifacts import write_record
from waterflow.tracking.model_files import model_statement
from waterflow.tracking.registry import Version, version_statement

ONE = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]


class Mine:
    """An object whose pickle leaves a mark where it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        """Touch the mark in place of being restored."""
        return Path.touch, (self.mark,)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """The file that appears when the pickle is loaded."""
    return tmp_path / "loaded"


@pytest.fixture
def stranger(tmp_path: Path) -> Keyring:
    """The keys of somebody else: they sign well, and are not trusted here."""
    return load_keyring(tmp_path / "stranger" / "key", make=True)


@pytest.fixture
def champion(resources: Resources, pipeline: Callable[..., str]) -> Version:
    """A pipeline's honest first champion."""
    name = pipeline()
    promote(*entered(name, resources, "run_1", full=True), resources)
    found = resources.registry.find_alias(name, "champion")
    assert found is not None
    assert not found.problem
    return found


def folder_of(model_id: str, resources: Resources) -> Path:
    """Return the folder that MLflow keeps a model in."""
    return Path(resources.runs.client.get_logged_model(model_id).artifact_location.removeprefix("file://"))


def log_pickle(champion: Version, mark: Path, stranger: Keyring, resources: Resources) -> str:
    """Log the pickle as a stranger does, with every tag that a stranger can set; gives the id of the model."""
    client = resources.runs.client
    name, kept = f"of a stranger, beside {champion.model} {mark}", mark.parent / "of a stranger"
    experiment = client.create_experiment(name, artifact_location=kept.as_uri())
    run_id = client.create_run(experiment).info.run_id
    folder = mark.parent / "model"
    shutil.copytree(folder_of(champion.model_id, resources), folder)
    (folder / "model.pkl").write_bytes(pickle.dumps(Mine(mark)))
    files = [path for path in folder.rglob("*") if path.is_file()]
    digest = digest_of({path.relative_to(folder).as_posix(): sha256_of(path) for path in files})
    tags = {"waterflow.sha256": sha256_of(folder / "model.pkl"), tag.MODEL_FILES_DIGEST: digest}
    model = client.create_logged_model(experiment, name="mine", source_run_id=run_id, tags=tags)
    signature = stranger.sign(model_statement(champion.model, model.model_id, digest))
    client.set_logged_model_tags(model.model_id, {tag.MODEL_SIGNATURE: signature, tag.PIPELINE: champion.model})
    client.log_model_artifacts(model.model_id, str(folder))
    client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    return str(model.model_id)


def register_strange(
    model: str, model_id: str, tags: dict[str, str], stranger: Keyring, resources: Resources
) -> Version:
    """Register a stranger's model with the tags of an honest version, and call it champion."""
    client = resources.runs.client
    given = tags | {tag.MODEL_ID: model_id, tag.SELECTED_MODEL_ID: model_id}
    given[tag.VERSION_SIGNATURE] = stranger.sign(version_statement(model, model_id, given))
    made = client.create_model_version(model, f"models:/{model_id}", tags=given, model_id=model_id)
    client.set_registered_model_alias(model, "champion", made.version)
    found = resources.registry.get_version(model, int(made.version))
    assert found is not None
    return found


@pytest.fixture
def strange(champion: Version, mark: Path, stranger: Keyring, resources: Resources) -> Version:
    """The stranger's version, which the alias champion is on."""
    model_id = log_pickle(champion, mark, stranger, resources)
    return register_strange(champion.model, model_id, champion.tags, stranger, resources)


def stage(version: Version, champion: Version, resources: Resources) -> None:
    """Stage a version with the records of the champion's run."""
    history = VersionHistory(champion, resources)
    prepared, evaluated = history.registration_prepared, history.evaluated
    with serving_process() as process:
        checks = check_version(
            process, version.version, prepared, evaluated, load_config(prepared, resources), resources
        )
    assert [check.name for check in checks if not check.passed] == ["files"]
    raise StoreError(checks[0].actual)


def trace(version: Version, champion: Version, resources: Resources) -> None:
    """Verify a version's lineage."""
    broken = broken_nodes(trace_lineage(VersionHistory(version, resources), Verifier(resources)))
    assert broken
    raise StoreError(broken[0].reason)


PATHS: dict[str, Callable[[Version, Version, Resources], Any]] = {
    "load": lambda version, _, resources: resources.models.load_model(version.model_id, version.model),
    "verify": lambda version, _, resources: resources.models.verify(version.model_id, version.model),
    "fetch": lambda version, _, resources: resources.models.fetch_model(
        version.model_id, version.model, resources.project.home / "fetched"
    ),
    "reproduce": lambda version, _, resources: reproduce(version, resources),
    "staging": stage,
    "lineage": trace,
    "notebook": lambda version, _, resources: notebook.load_model(
        f"{version.model}@{version.version}", tracking_uri=resources.runs.uri
    ),
}


@pytest.mark.parametrize("path", PATHS)
def test_a_strange_model_is_refused_in_one_line(
    path: str, champion: Version, strange: Version, mark: Path, resources: Resources
) -> None:
    """Wherever a model could be loaded or served, it is not even fetched."""
    message = message_of(lambda: PATHS[path](strange, champion, resources), StoreError)
    assert not mark.exists()
    assert "\n" not in message
    assert "which is not trusted here" in message
    assert not list(resources.project.home.glob("fetched/*"))


@pytest.mark.parametrize("path", ["load", "verify", "fetch", "staging"])
def test_files_that_were_swapped_below_a_signed_model_are_refused(
    path: str, champion: Version, mark: Path, resources: Resources
) -> None:
    """Whoever can write to the store cannot have the signature follow."""
    file = folder_of(champion.model_id, resources) / "model.pkl"
    file.write_bytes(pickle.dumps(Mine(mark)))
    message = message_of(lambda: PATHS[path](champion, champion, resources), StoreError)
    assert not mark.exists()
    assert "not those that were logged" in message


def test_a_run_goes_on_beside_a_strange_champion(
    champion: Version, strange: Version, mark: Path, resources: Resources
) -> None:
    """It is compared with the ledger's champion, and the alias goes back there."""
    prepared, registered = entered(champion.model, resources, "run_2", full=True)
    assert not mark.exists()
    assert registered.evaluated.verdict is not None
    fresh = workflow.run_all(request_of(champion.model, "run_3", force=True), resources)
    assert not mark.exists()
    verdict = fresh.evaluated.verdict
    assert verdict is not None
    assert (verdict.champion_version, verdict.champion_model_id) == (champion.version, champion.model_id)
    assert champion_of(champion.model, resources) == champion.version
    assert kinds(champion.model, resources)[0] == "promote"
    assert "manual" not in kinds(champion.model, resources)
    assert prepared.parent_run_id != fresh.parent_run_id
    assert strange.version != champion.version


def test_a_name_that_a_stranger_took_first_has_no_champion(
    champion: Version, mark: Path, stranger: Keyring, resources: Resources
) -> None:
    """The pipeline's first run is compared with the baseline, and becomes champion."""
    name = f"{champion.model}_taken"
    write_pipeline(resources.project, name, {**FLOWERS, "defaults": ONE})
    resources.runs.client.create_registered_model(name)
    model_id = log_pickle(champion, mark, stranger, resources)
    register_strange(name, model_id, champion.tags, stranger, resources)
    registered = workflow.run_all(request_of(name, "run_1"), resources)
    assert not mark.exists()
    assert registered.evaluated.verdict is not None
    assert registered.evaluated.verdict.against.startswith("baseline")
    assert registered.decision is not None
    assert (registered.decision.kind, champion_of(name, resources)) == ("promote", registered.version)


def test_a_signed_model_of_another_pipeline_is_no_champion_here(
    champion: Version, pipeline: Callable[..., str], resources: Resources
) -> None:
    """A genuine signature counts for its own pipeline alone."""
    other = f"{champion.model}_other"
    write_pipeline(resources.project, other, {**FLOWERS, "defaults": ONE})
    promote(*entered(other, resources, "run_1"), resources)
    theirs = resources.registry.find_alias(other, "champion")
    assert theirs is not None
    made = resources.runs.client.create_model_version(
        champion.model, f"models:/{theirs.model_id}", tags=theirs.tags, model_id=theirs.model_id
    )
    replayed = resources.registry.get_version(champion.model, int(made.version))
    assert replayed is not None
    assert "nothing vouches for it" in replayed.problem
    message = message_of(lambda: resources.models.load_model(theirs.model_id, champion.model), SignatureError)
    assert "a signature of something else" in message


def test_a_version_whose_tags_were_edited_is_not_believed(champion: Version, resources: Resources) -> None:
    """Tags of the registration decide what is compared, so one that was edited or added is noticed."""
    client = resources.runs.client
    client.set_model_version_tag(champion.model, str(champion.version), tag.WINDOW_END, "1900-01-01T00:00:00+00:00")
    edited = resources.registry.get_version(champion.model, champion.version)
    assert edited is not None
    assert "nothing vouches for it" in edited.problem
    _, registered = entered(champion.model, resources, "run_2", full=True)
    registered = workflow.run_all(request_of(champion.model, "run_3", force=True), resources)
    verdict = registered.evaluated.verdict
    assert verdict is not None
    assert verdict.outcome == "insufficient evidence"
    assert "nothing vouches for it" in verdict.reason


def test_a_rollback_to_a_strange_model_is_refused(
    champion: Version, mark: Path, stranger: Keyring, resources: Resources
) -> None:
    """The row of the ledger names a model, and the registry serves another under its number."""
    verdict = VERDICT.model_copy(update={"champion_version": champion.version})
    promote(*entered(champion.model, resources, "run_2", verdict, full=True), resources)
    file = folder_of(champion.model_id, resources) / "model.pkl"
    file.write_bytes(pickle.dumps(Mine(mark)))
    message = message_of(lambda: rollback(champion.model, champion.version, "back", "ada", resources), LedgerError)
    assert not mark.exists()
    assert "not those that were logged" in message


def test_a_record_that_a_stranger_planted_is_no_cache_hit(
    champion: Version, mark: Path, stranger: Keyring, resources: Resources, caplog: pytest.LogCaptureFixture
) -> None:
    """A finished run with the key of an action, a record and its digest is not used."""
    prepared = prepare(request_of(champion.model, "run_2"), resources)
    config = load_config(prepared, resources)
    key = key_of(fitting(prepared, config, "gaussian_nb", resources))
    history = VersionHistory(champion, resources)
    assert history.evaluated
    planted = history.evaluated.winner.model_copy(
        update={"action_key": key, "model_id": log_pickle(champion, mark, stranger, resources)}
    )
    run = resources.runs.client.create_run(prepared.experiment_id)
    folder = mark.parent / "record"
    digest = write_record(folder, planted.to_json())
    tags = {tag.ACTION_KEY: key, tag.RECORD_DIGEST: digest, tag.PIPELINE: champion.model}
    resources.runs.log(run.info.run_id, tags=tags)
    resources.runs.log_folder(run.info.run_id, folder)
    resources.runs.client.set_terminated(run.info.run_id)
    trained = train(prepared, "gaussian_nb", prepared.origin, resources)
    assert not mark.exists()
    assert trained.cached_from != run.info.run_id
    assert trained.model_id != planted.model_id
    assert "nothing vouches for its waterflow/record.json" in caplog.text


def test_an_audit_loads_no_strange_model(champion: Version, strange: Version, mark: Path, resources: Resources) -> None:
    """It names the version, and all others are audited."""
    found = audit(champion.model, resources, reproduced=2)
    assert not mark.exists()
    subjects = {finding.subject for finding in found.findings}
    assert f"{strange.model}@{strange.version}" in subjects
    assert f"{champion.model}@{champion.version}" not in subjects


def test_commands_answer_in_one_line(
    champion: Version,
    strange: Version,
    mark: Path,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Reproduction ends with the reason, and a lineage with a broken link."""
    waterflow = command_in(resources.project, monkeypatch, capsys)
    answer = waterflow("reproduce", f"{strange.model}@{strange.version}")
    assert answer.code == 1
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    assert "nothing vouches for it" in answer.err
    assert waterflow("lineage", f"{strange.model}@champion").code == 1
    assert not mark.exists()


def test_a_notebook_needs_the_public_key_or_trust(champion: Version, resources: Resources) -> None:
    """With the address alone it is told what to do, and with the key it loads."""
    name = f"{champion.model}@champion"
    message = message_of(lambda: notebook.load_model(name, tracking_uri=resources.runs.uri), SignatureError)
    assert "`waterflow keys show`" in message
    assert "trust=True" in message
    (public_key,) = resources.keyring.public_keys
    for given in ({"public_keys": public_key}, {"trust": True}):
        assert hasattr(notebook.load_model(name, tracking_uri=resources.runs.uri, **given), "predict")


def test_a_model_with_the_key_of_before_a_rotation_is_loaded(
    champion: Version, resources: Resources, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Until that key is revoked; the command says what is valid no longer."""
    waterflow = command_in(resources.project, monkeypatch, capsys)
    assert isinstance(resources.keyring.signing_key, SigningKey)
    old = resources.keyring.signing_key.key_id
    assert f"{old} is kept" in waterflow("keys", "rotate").out
    opened = workflow.open_resources(resources.project)
    assert opened.keyring.signing_key is not None
    assert opened.keyring.signing_key.key_id != old
    assert hasattr(opened.models.load_model(champion.model_id, champion.model), "predict")
    assert f"{champion.model}@{champion.version}" in waterflow("keys", "rotate", "--revoke", old).out
    opened = workflow.open_resources(resources.project)
    message = message_of(lambda: opened.models.load_model(champion.model_id, champion.model), SignatureError)
    assert f"revoked key {old}" in message
