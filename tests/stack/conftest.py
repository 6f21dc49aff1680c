"""One stack for all of these tests, from clean volumes; KEEP_STACK=1 leaves it running for a look."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.compose import Stack, running

# The files share one stack. What reads the first run of iris comes first; what restarts servers or deletes objects
# comes after what needs neither.
ORDER = (
    "run",
    "windows",
    "security",
    "mlflow_permissions",
    "trust",
    "accounts",
    "serving",
    "own_package",
    "resilience",
    "browser",
    "faults",
    "monthly_backfill",
    "ledger_on_postgres",
    "dvc_source",
    "sql_source",
    "garbage_collection",
    "approval",
    "tls",  # Takes away the plain ports that all others use.
    "lost_volumes",  # Takes the volumes away.
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the files of this folder by `ORDER`; a file that is not listed is an error."""
    here = Path(__file__).parent
    places = {item: ORDER.index(item.path.stem.removeprefix("test_")) for item in items if item.path.parent == here}
    items.sort(key=lambda item: places.get(item, -1))


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
