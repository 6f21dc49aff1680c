"""Switches that processes share."""

import time
from pathlib import Path

from waterflow.records.serving import ServedVersion
from waterflow.serving.switchboard import Switchboard, clear_switches, token_of


def version(number: int, sequence: int = 1) -> ServedVersion:
    """Return a version of `flowers`."""
    return ServedVersion(pipeline="flowers", version=number, model_id="m", model_digest="d", sequence=sequence)


def test_a_switch_is_seen_by_all_and_not_before_its_moment(tmp_path: Path) -> None:
    """By those that had the file open before, too; of the other pipeline nothing is said."""
    names = ("flowers", "roses")
    reader, writer = Switchboard(tmp_path, names), Switchboard(tmp_path, names)
    token = token_of(version(2))
    writer.set_switch("flowers", token, 0.05)
    assert not reader.is_due("flowers", token)
    time.sleep(0.06)
    assert reader.is_due("flowers", token)
    assert not reader.is_due("flowers", token_of(version(3)))
    assert not reader.is_due("roses", token)


def test_a_rollback_is_another_switch_than_the_promotion() -> None:
    """The same version, made champion by another row of the ledger."""
    assert token_of(version(2, sequence=1)) != token_of(version(2, sequence=3))


def test_switches_do_not_outlast_the_service(tmp_path: Path) -> None:
    """The clock may have begun again."""
    Switchboard(tmp_path, ("flowers",)).set_switch("flowers", 7)
    clear_switches(tmp_path)
    assert not Switchboard(tmp_path, ("flowers",)).is_due("flowers", 7)
