import json
import os
from pathlib import Path

import pytest
from support.commands import Command

from waterflow import workflow
from waterflow.config.project import Project
from waterflow.stores.base import put_file


@pytest.fixture
def stray(tracked: Project) -> Path:
    """Put an old object that nothing names into the store of the project that commands will find."""
    path = tracked.home / "store" / "blobs" / "ab" / f"ab{'0' * 62}"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0123456789" * 200)
    os.utime(path, (0, 0))
    (tracked.home / "named").write_text("I am somebody's")
    resources = workflow.open_resources(tracked)
    tags = {"uses": put_file(resources.store, tracked.home / "named").digest}
    run = resources.runs.client.create_run(resources.runs.ensure_experiment("flowers"), tags=tags)
    resources.runs.client.set_terminated(run.info.run_id)
    return path


def test_gc_lists_what_would_go(stray: Path, waterflow: Command) -> None:
    """Without --delete nothing is touched; bytes, time and reason are shown."""
    out = waterflow("gc").out
    for text in (
        stray.name[:12],
        "2,000",
        "1970-01-01",
        "named by nothing",
        "unused      1 object, 2,000 bytes",
        "--delete",
    ):
        assert text in out
    assert stray.exists()


def test_gc_deletes_with_its_option(stray: Path, waterflow: Command) -> None:
    """And says so."""
    out = waterflow("gc", "--delete", "--older-than", "8w").out
    assert "removed     1 object, 2,000 bytes" in out
    assert not stray.exists()


def test_gc_prints_json(stray: Path, waterflow: Command) -> None:
    """For a program that watches the store grow."""
    content = json.loads(waterflow("gc", "--json").out)
    assert content["unreachable"] == {"objects": 1, "size_bytes": 2000}
    assert content["objects"][0]["key"] == f"blobs/ab/{stray.name}"
    assert content["deleted"] is False


@pytest.mark.parametrize("age", ["0d", "soon", "30", "-1d"])
def test_gc_names_an_age_that_is_none(stray: Path, waterflow: Command, age: str) -> None:
    """A run under way must be safe."""
    err = waterflow("gc", f"--older-than={age}", "--delete").err
    assert f"error: --older-than: '{age}' is not an age of an hour or more; write it like 12h, 30d or 8w" in err
    assert stray.exists()
