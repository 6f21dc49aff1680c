"""One project with a champion, and one service over it, for the tests of a module."""

from collections.abc import Iterator

import pytest
from support.serving import RunningService, running_service, train_champion, write_clients

from waterflow.resources import Resources


@pytest.fixture(scope="module")
def served(resources: Resources) -> Resources:
    """Train the champion of `clients`; `flowers` has none."""
    write_clients(resources.project)
    train_champion(resources)
    return resources


@pytest.fixture(scope="module")
def service(served: Resources) -> Iterator[RunningService]:
    """Start a service with two workers."""
    with running_service(served.project, "--workers", "2") as running:
        running.wait_until(lambda: running.model()["version"] is not None)
        yield running
