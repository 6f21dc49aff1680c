import pytest
from support.commands import Command, command_in

from waterflow.config.project import Project


@pytest.fixture
def waterflow(tracked: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return the command as a shell in the project's folder would run it, in this process."""
    return command_in(tracked, monkeypatch, capsys)
