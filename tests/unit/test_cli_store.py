import json
import os
import sys
from pathlib import Path

import pytest

from waterflow import cli, workflow
from waterflow.config.project import Project
from waterflow.stores.base import put_file


@pytest.fixture
def stray(tracked: Project, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an old object that nothing names into the store of the project that commands will find."""
    monkeypatch.chdir(tracked.root)
    monkeypatch.setenv("WATERFLOW_HOME", str(tracked.home))
    path = tracked.home / "store" / "blobs" / "ab" / f"ab{'0' * 62}"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"0123456789" * 200)
    os.utime(path, (0, 0))
    (tracked.home / "named").write_text("I am somebody's")
    tools = workflow.open_tools(tracked)
    tags = {"uses": put_file(tools.store, tracked.home / "named").digest}
    run = tools.runs.client.create_run(tools.runs.ensure_experiment("flowers"), tags=tags)
    tools.runs.client.set_terminated(run.info.run_id)
    return path


def answer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[str, str]:
    """Give what `waterflow gc` prints, to both streams."""
    monkeypatch.setattr(sys, "argv", ["waterflow", "gc", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    return capsys.readouterr()


def test_gc_lists_what_would_go(
    stray: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --delete nothing is touched; bytes, time and reason are shown."""
    out, _ = answer(monkeypatch, capsys)
    for text in (
        stray.name[:12],
        "2,000",
        "1970-01-01",
        "named by nothing",
        "would go    1 object, 2,000 bytes",
        "--delete",
    ):
        assert text in out
    assert stray.exists()


def test_gc_deletes_when_told(stray: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And says so."""
    out, _ = answer(monkeypatch, capsys, "--delete", "--older-than", "8w")
    assert "removed     1 object, 2,000 bytes" in out
    assert not stray.exists()


def test_gc_gives_json(stray: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """For a program that watches the store grow."""
    content = json.loads(answer(monkeypatch, capsys, "--json")[0])
    assert content["unreached"] == {"objects": 1, "size_bytes": 2000}
    assert content["objects"][0]["key"] == f"blobs/ab/{stray.name}"
    assert content["deleted"] is False


@pytest.mark.parametrize("age", ["0d", "soon", "30", "-1d"])
def test_gc_names_an_age_that_is_none(
    stray: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], age: str
) -> None:
    """A run under way must be safe."""
    _, err = answer(monkeypatch, capsys, f"--older-than={age}", "--delete")
    assert f"error: --older-than: '{age}' is no age of an hour or more; write it like 12h, 30d or 8w" in err
    assert stray.exists()
