"""How often `evaluate` promotes: 500 pairs of equal models and 200 with a planted gain, on three kinds of holdout."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import simulated
from support.projects import give_database, make_project
from support.simulated import Kind, detectable_gain, fewest_by_chance, make_bench, most_by_chance, promotions

from waterflow import workflow

PAIRS = int(os.environ.get("EVIDENCE_PAIRS", "500"))
GAINS = PAIRS * 2 // 5
POWER = 0.8

pytestmark = pytest.mark.evidence


@pytest.mark.parametrize("make", [simulated.balanced, simulated.imbalanced, simulated.grouped])
def test_equal_models_are_promoted_no_more_often_than_alpha(
    make: Callable[[], Kind], tmp_path: Path, tracking_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within what chance allows at a rate of alpha; and a gain as large as stated is found with the stated power."""
    simulated.leave_out_pictures(monkeypatch)
    project = make_project(tmp_path)
    give_database(project, tracking_template)
    bench = make_bench(make(), workflow.open_resources(project), tmp_path)
    promoted, verdicts = promotions(bench, PAIRS)
    print(f"\n{bench.kind.name}: {promoted} of {PAIRS} pairs of equal models promoted")
    assert promoted <= most_by_chance(PAIRS)
    stated = sum(verdict.smallest_detectable or 0.0 for verdict in verdicts) / PAIRS
    found, _ = promotions(bench, GAINS, detectable_gain(bench, stated), seed=1)
    print(f"{bench.kind.name}: {found} of {GAINS} gains of {stated:.4f} found")
    assert found >= fewest_by_chance(GAINS, POWER)
