"""The page that shows the columns of unknown rows."""

import numpy as np
import pandas as pd
import pytest

from waterflow.data.column_profile import profile_columns
from waterflow.reporting.data_profile import DataProfile
from waterflow.reporting.plots import bin_edges


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(range(1_582_218_195_625_938_000, 1_582_218_195_625_938_300)),
        pd.Series(np.random.default_rng(1).normal(size=300)),
        pd.date_range("2024-01-01", periods=300, freq="us"),
    ],
)
def test_every_column_can_be_drawn(values: pd.Series) -> None:
    """Also ids so large that floats do not tell them apart."""
    frame = pd.DataFrame({"x": values})
    page = DataProfile("flowers", "rows.parquet", frame, profile_columns(frame), {"x": "feature"}, (), (), "").to_html()
    assert "<svg" in page


@pytest.mark.parametrize("value", [0.0, 7.5, -1e300])
def test_a_constant_has_one_bin_or_more(value: float) -> None:
    """Whatever its size, it lies inside of its edges."""
    edges = bin_edges(np.full(3, value), 24)
    assert len(edges) > 1
    assert edges[0] < value < edges[-1]
