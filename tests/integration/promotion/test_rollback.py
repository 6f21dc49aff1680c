import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from support.projects import message_of
from support.promotion import VERDICT, champion_of, entered, kinds

from waterflow.errors import LedgerError
from waterflow.promotion import champion_alias
from waterflow.promotion.rollback import rollback
from waterflow.resources import Resources
from waterflow.steps.promote import promote
from waterflow.tracking.registry import CHAMPION

Writer = Callable[..., str]


def promoted(name: str, resources: Resources, count: int, *, full: bool = False) -> None:
    """Make versions 1 to `count` champion, one after the other."""
    for number in range(1, count + 1):
        verdict = VERDICT.model_copy(update={"champion_version": number - 1 or None})
        done = promote(*entered(name, resources, f"run_{number}", verdict, full=full), resources).decision
        assert done is not None
        assert done.kind == "promote", done.reason


def test_a_rollback_restores_the_champion_before_and_is_safe_to_repeat(resources: Resources, pipeline: Writer) -> None:
    """It is checked in a fresh process first; a second rollback does not go further back by itself."""
    name = pipeline()
    promoted(name, resources, 3, full=True)
    done, is_new = rollback(name, None, "it drifts", "ada", resources)
    assert is_new
    assert (done.kind, done.from_version, done.to_version, done.actor) == ("rollback", 3, 2, "ada")
    assert champion_of(name, resources) == 2
    tags = resources.registry.get_version(name, 2)
    assert tags is not None
    assert tags.tags["waterflow.staging.predictions"].startswith("passed: ")
    assert rollback(name, None, "again", "ada", resources) == (done, False)
    assert rollback(name, 2, "again", "ada", resources) == (done, False)
    further, is_new = rollback(name, 1, "it drifts too", "ada", resources)
    assert (is_new, further.to_version) == (True, 1)
    assert kinds(name, resources) == ["promote"] * 3 + ["rollback"] * 2
    assert champion_alias.verify(name, resources) == []


def test_a_rollback_whose_alias_was_lost_is_finished_by_a_repetition(resources: Resources, pipeline: Writer) -> None:
    """The row stands; the alias follows."""
    name = pipeline()
    promoted(name, resources, 2)
    resources.ledger.append(
        resources.ledger.head(name), model=name, kind="rollback", version=1, to_version=1, reason="", actor="ada"
    )
    assert champion_of(name, resources) == 2
    _, is_new = rollback(name, None, "", "ada", resources)
    assert (is_new, champion_of(name, resources), kinds(name, resources)[-1]) == (False, 1, "rollback")
    assert champion_alias.verify(name, resources) == []


def test_there_must_be_something_to_go_back_to(resources: Resources, pipeline: Writer) -> None:
    """No champion, no champion before, or one that never was: the message lists those that were."""
    name = pipeline()
    assert "names no champion yet" in message_of(lambda: rollback(name, None, "", "ada", resources), LedgerError)
    promoted(name, resources, 1)
    assert "nobody was champion before" in message_of(lambda: rollback(name, None, "", "ada", resources), LedgerError)
    promote(
        *entered(name, resources, "run_2", VERDICT.model_copy(update={"outcome": "hold", "champion_version": 1})),
        resources,
    )
    message = message_of(lambda: rollback(name, 2, "", "ada", resources), LedgerError)
    assert message == f"version: 2 never was champion of {name}; earlier champions: none"
    assert kinds(name, resources) == ["promote", "hold"]


def test_a_version_that_is_gone_is_named(resources: Resources, pipeline: Writer) -> None:
    """Nothing is written, and nothing moves."""
    name = pipeline()
    promoted(name, resources, 2)
    resources.runs.client.delete_model_version(name, "1")
    message = message_of(lambda: rollback(name, None, "", "ada", resources), LedgerError)
    assert f"version: 1 of {name} is no longer in the registry" in message
    assert (champion_of(name, resources), kinds(name, resources)) == (2, ["promote", "promote"])


def test_a_version_whose_files_are_gone_does_not_come_back(resources: Resources, pipeline: Writer) -> None:
    """The staging checks say so before anything is decided."""
    name = pipeline()
    promoted(name, resources, 2, full=True)
    version = resources.registry.get_version(name, 1)
    assert version is not None
    location = resources.runs.client.get_logged_model(version.tags["waterflow.model_id"]).artifact_location
    shutil.rmtree(Path(urlsplit(location).path))
    message = message_of(lambda: rollback(name, None, "", "ada", resources), LedgerError)
    assert "staging check files: found" in message
    assert "its files are gone" in message
    assert (champion_of(name, resources), kinds(name, resources)) == (2, ["promote", "promote"])


def test_an_alias_moved_by_hand_is_noted_first(resources: Resources, pipeline: Writer) -> None:
    """The ledger knows what the rollback took the place of."""
    name = pipeline()
    promoted(name, resources, 2)
    resources.runs.client.set_registered_model_alias(name, CHAMPION, "1")
    done, is_new = rollback(name, 1, "", "ada", resources)
    assert (done.kind, is_new, kinds(name, resources)) == ("manual", False, ["promote", "promote", "manual"])
