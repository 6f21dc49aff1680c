import pytest
from support.keys import OTHER_KEYS
from support.ledger_contract import look
from support.projects import FLOWERS, message_of, write_pipeline
from support.promotion import entered

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.errors import LedgerError
from waterflow.ledger.store import Ledger
from waterflow.provenance.signing import Keyring
from waterflow.resources import Resources
from waterflow.steps.promote import promote

ONE = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]


@pytest.fixture
def resources(tracked: Project) -> Resources:
    """Open a project whose pipeline has one fast candidate and a champion, version 1."""
    write_pipeline(tracked, "flowers", {**FLOWERS, "defaults": ONE})
    resources = workflow.open_resources(tracked)
    promote(*entered("flowers", resources), resources)
    return resources


@pytest.fixture
def forger(resources: Resources) -> Ledger:
    """Open the ledger as somebody who has its address and no key of this home."""
    keys = Keyring(resources.keyring.public_keys, signing_key=OTHER_KEYS.signing_key)
    return Ledger(resources.profile.find_database(), keys)


def forge(forger: Ledger) -> None:
    """Make version 9 champion, unsigned."""
    follows = forger.head("flowers")
    assert follows is not None
    unknown = follows.model_copy(update={"to_version": 7})  # so what the row says does not follow from the one before
    forger.append(unknown, model="flowers", kind="promote", version=9, to_version=9, reason="mine", actor="eve")


def test_a_forged_row_makes_no_champion_after_its_acceptance(resources: Resources, forger: Ledger) -> None:
    """The row that vouches names the registry's champion, and runs are decided again."""
    forge(forger)
    with pytest.raises(LedgerError, match="row 2 is not one of this ledger's"):
        promote(*entered("flowers", resources, "run_2"), resources)
    lines = workflow.accept_rows("flowers", "eve is known", "ada", resources)
    assert lines == ["row 3 vouches for the decisions before it"]
    row = resources.ledger.entries("flowers")[-1]
    assert (row.kind, row.from_version, row.to_version) == ("manual", 9, 1)
    assert row.reason.endswith("eve is known")
    problems, notes = workflow.verify_ledger("flowers", resources)
    assert notes[0].startswith("row 2 counts because row 3 vouches for it")
    assert notes[1:] == ["row 2 starts from version 7, but champion was version 1"]
    assert problems == []
    assert resources.ledger.is_projected(row)


def test_a_forged_look_is_accepted_as_a_look(resources: Resources, forger: Ledger) -> None:
    """It counts, since nobody can show that nobody looked."""
    count = len(resources.ledger.looks("flowers"))
    forger.append_look(look(count + 1))
    with pytest.raises(LedgerError):
        resources.ledger.looks("flowers")
    workflow.accept_rows("flowers", "eve is known", "ada", resources)
    assert [entry.row_count for entry in resources.ledger.looks("flowers")[count:]] == [10, 0]


def test_there_may_be_nothing_to_accept(resources: Resources) -> None:
    """No row is written for nothing."""
    assert "nothing to accept" in message_of(lambda: workflow.accept_rows("flowers", "", "ada", resources), LedgerError)
    assert len(resources.ledger.entries("flowers")) == 1
