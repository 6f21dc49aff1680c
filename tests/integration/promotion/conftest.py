from contextlib import nullcontext

import pytest
from support.promotion import PASSED


@pytest.fixture
def staged_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the fresh process of staging, which has tests of its own and takes seconds."""
    for module in ("steps.register", "promotion.staging"):
        monkeypatch.setattr(f"waterflow.{module}.serving_process", nullcontext)
        monkeypatch.setattr(f"waterflow.{module}.check_version", lambda *given: (PASSED,))
