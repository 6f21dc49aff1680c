import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from support.keys import OTHER_KEYS
from support.projects import FLOWERS, write_pipeline
from support.promotion import entered

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.ledger.store import Ledger
from waterflow.operations.integrity import LEDGER
from waterflow.provenance.signing import Keyring
from waterflow.resources import Resources
from waterflow.steps.promote import promote
from waterflow.tracking.artifacts import DIGEST_TAGS
from waterflow.tracking.tags import EVALUATED_FILE, LEDGER_SEQUENCE

ONE = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]


@pytest.fixture
def resources(tracked: Project) -> Resources:
    """Open a project with two pipelines, each with a champion that was evaluated."""
    for name in ("flowers", "roses"):
        write_pipeline(tracked, name, {**FLOWERS, "defaults": ONE})
    resources = workflow.open_resources(tracked)
    for name in ("flowers", "roses"):
        promote(*entered(name, resources, full=True), resources)
    return resources


def test_what_rows_name_is_verified_by_digest(resources: Resources) -> None:
    """Nothing is wrong at first; then a look's rows are gone, and a model's file is another one."""
    assert workflow.verify_ledger("flowers", resources) == ([], [])
    rows = resources.ledger.looks("flowers")[0].rows
    (resources.project.home / "store" / rows.key).unlink()
    version = resources.registry.get_version("flowers", 1)
    assert version is not None
    folder = Path(urlsplit(resources.runs.client.get_logged_model(version.model_id).artifact_location).path)
    (folder / "python_model.pkl" if (folder / "python_model.pkl").exists() else folder / "MLmodel").write_text("x")
    problems, _ = workflow.verify_ledger("flowers", resources)
    assert problems[0].startswith("row 1: ")
    assert problems[-1].startswith("looks: row 1: ")
    assert len(problems) == 2


def test_a_record_with_another_digest_is_named(resources: Resources) -> None:
    """The record of the evaluation that the decision rests on."""
    run_id = resources.ledger.entries("flowers")[0].run_id
    resources.runs.client.set_tag(str(run_id), DIGEST_TAGS[EVALUATED_FILE], "0" * 64)
    problems, _ = workflow.verify_ledger("flowers", resources)
    assert [problem.partition(":")[0] for problem in problems] == ["row 1"]


def test_a_row_that_only_the_registry_remembers_is_named(resources: Resources) -> None:
    """A ledger that was cut together with its marks is contradicted by a version's tag."""
    resources.registry.tag_version("flowers", 1, {LEDGER_SEQUENCE: "2"})
    problems, _ = workflow.verify_ledger("flowers", resources)
    assert problems == ["row 2 is missing: version 1 in the registry was decided by it"]


def test_a_row_that_cannot_be_read_keeps_every_object(resources: Resources) -> None:
    """What it names is not known, so the collection says why it removes nothing."""
    with closing(sqlite3.connect(resources.project.home / "waterflow.db")) as database:
        database.executescript(
            "DROP TRIGGER waterflow_ledger_no_update;"
            "UPDATE waterflow_ledger SET decided_at = 'never' WHERE model = 'flowers'"
        )
    survey = workflow.survey_objects(resources, timedelta(0), datetime.now(UTC))
    assert survey.obstacles[0].startswith("ledger of flowers: a row cannot be read")
    assert workflow.verify_ledger("flowers", resources)[0] == [survey.obstacles[0].partition(", and with it")[0]]


def test_a_forged_row_stops_no_other_pipeline(resources: Resources) -> None:
    """Audit and garbage collection go on, and the audit names it."""
    keys = Keyring(resources.keyring.public_keys, signing_key=OTHER_KEYS.signing_key)
    forger = Ledger(resources.profile.find_database(), keys)
    forger.append(
        forger.head("flowers"), model="flowers", kind="promote", version=9, to_version=9, reason="mine", actor="eve"
    )
    found = workflow.audit_store(None, resources, reproduced=0, report=print)
    assert [(entry.check, entry.subject) for entry in found.findings] == [(LEDGER, "flowers")]
    assert "row 2 is not one of this ledger's" in found.findings[0].problem
    survey = workflow.survey_objects(resources, timedelta(0), datetime.now(UTC))
    assert not survey.obstacles
    assert workflow.verify_ledger("roses", resources) == ([], [])
