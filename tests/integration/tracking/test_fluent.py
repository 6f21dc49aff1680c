import os

import pytest

from waterflow.tracking.fluent import use_tracking_uri


@pytest.mark.parametrize("before", [None, "sqlite:///theirs.db"])
def test_the_shells_variable_stays_as_it_was(before: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow writes it; a second project of the same process would be refused for it."""
    import mlflow

    if before is None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", before)
    earlier = mlflow.get_tracking_uri()
    use_tracking_uri("sqlite:///mine.db")
    assert mlflow.get_tracking_uri() == "sqlite:///mine.db"
    assert os.environ.get("MLFLOW_TRACKING_URI") == before
    use_tracking_uri(earlier)
