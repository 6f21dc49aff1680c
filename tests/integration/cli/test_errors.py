import errno
import os

import pytest
from support.commands import command_in

from waterflow import workflow
from waterflow.config.project import Project


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/x"), "error: /data/x: no space is left"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "error: the server refuses the connection"),
    ],
)
def test_an_error_of_the_machine_is_one_line(
    error: OSError,
    said: str,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With its remedy and exit code 1; the traceback is for --debug."""

    def fail(*_: object) -> None:
        raise error

    waterflow = command_in(project, monkeypatch, capsys)
    monkeypatch.setattr(workflow, "list_datasets", fail)
    answer = waterflow("data", "fetch")
    assert (answer.code, answer.err.count("\n")) == (1, 1)
    assert answer.err.startswith(said)
    with pytest.raises(OSError, match=os.strerror(error.errno or 0)):
        waterflow("--debug", "data", "fetch")
