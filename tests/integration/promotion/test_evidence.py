"""Equal and better models, through the step itself; tests/evidence does the same for many pairs of each kind."""

from collections.abc import Callable
from pathlib import Path

import pytest
from support import simulated
from support.simulated import Kind, make_bench, most_by_chance, promotions

from waterflow.resources import Resources

PAIRS = 10


@pytest.mark.parametrize("make", [simulated.balanced, simulated.imbalanced, simulated.grouped])
def test_equal_models_are_seldom_promoted_and_better_ones_are(
    make: Callable[[], Kind], resources: Resources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten pairs without a difference stay within chance; a model without most of the errors is always found."""
    simulated.leave_out_pictures(monkeypatch)
    bench = make_bench(make(), resources, tmp_path, monkeypatch)
    assert promotions(bench, PAIRS)[0]["f1_macro"] <= most_by_chance(PAIRS)
    promoted, verdicts = promotions(bench, 3, gain=0.95)
    assert promoted["f1_macro"] == 3
    assert all(verdict.low > 0 for verdict in verdicts if verdict.low is not None)
    assert {bool(verdict.clusters) for verdict in verdicts} == {make is simulated.grouped}
