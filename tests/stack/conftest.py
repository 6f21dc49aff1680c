"""One stack for all of these tests, from clean volumes; KEEP_STACK=1 leaves it running for a look."""

from collections.abc import Iterator

import pytest
from support.compose import Stack, running


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A healthy stack."""
    with running(Stack()) as healthy:
        yield healthy


@pytest.fixture(scope="session")
def iris_run(stack: Stack) -> str:
    """The id of a finished DAG run of train_iris, triggered by REST with the generated password."""
    run_id = stack.trigger("train_iris")
    assert stack.wait("train_iris", run_id) == "success"
    return run_id
