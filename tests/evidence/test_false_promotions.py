"""How often `evaluate` promotes: equal models on many kinds of holdout, and models with a planted gain.

`EVIDENCE_PAIRS` pairs of each kind are simulated, 500 by default and 40 in CI.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support import simulated
from support.projects import copy_database, make_project
from support.simulated import (
    Bench,
    Kind,
    detectable_gain,
    fewest_by_chance,
    make_bench,
    most_by_chance,
    promotions,
)

from waterflow import workflow

PAIRS = int(os.environ.get("EVIDENCE_PAIRS", "500"))
GAINS = max(PAIRS * 2 // 5, 10)
POWER = 0.8
LARGE = 1.0

KINDS = [
    simulated.balanced(),
    simulated.imbalanced(),
    simulated.opposed(),
    *(simulated.few_positives(count) for count in (1, 2, 5, 10)),
    *(simulated.grouped(count) for count in (15, 100)),
    simulated.dated(20, 0.0),
    simulated.dated(20, 0.2),
    simulated.dated(60, 0.05),
    simulated.dated(60, 0.2, 0.5),
    simulated.dated(20, 0.2, 0.5),
    simulated.dated(20, 0.2, 0.7),
    simulated.dated(60, 0.2, 0.7),
    simulated.dated(60, 0.2, 0.3, unequal=1.0),
    simulated.dated(20, 0.1, groups=15),
    simulated.dated(20, 0.2, 0.5, numbers=True),
    simulated.dated(365, 0.05, 0.3),
]
DECIDING = [simulated.balanced(), simulated.imbalanced(), simulated.grouped(300)]

pytestmark = pytest.mark.evidence
Start = Callable[[Kind], Bench]


@pytest.fixture
def start(tmp_path: Path, tracking_template: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Prepare a kind of holdout in a project of its own."""
    simulated.leave_out_pictures(monkeypatch)
    project = make_project(tmp_path)
    copy_database(project, tracking_template)
    return lambda kind: make_bench(kind, workflow.open_resources(project), tmp_path, monkeypatch)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_equal_models_are_promoted_no_more_often_than_alpha(kind: Kind, start: Start) -> None:
    """Within what chance allows at a rate of alpha, whichever of the metrics decides."""
    promoted, verdicts = promotions(start(kind), PAIRS)
    worth = sum(verdict.effective_rows or 0 for verdict in verdicts) / PAIRS
    rates = ", ".join(f"{name} {count / PAIRS:.3f}" for name, count in promoted.items())
    print(f"\n| {kind.name} | {verdicts[0].rows:,} rows, worth about {worth:,.0f} | {rates} |")
    assert max(promoted.values()) <= most_by_chance(PAIRS)


@pytest.mark.parametrize("kind", DECIDING, ids=lambda kind: kind.name)
def test_a_stated_gain_is_found_with_the_stated_power(kind: Kind, start: Start) -> None:
    """The difference that a verdict says it would show is found in four of five cases."""
    bench = start(kind)
    _, verdicts = promotions(bench, 10)
    stated = sum(verdict.smallest_detectable or 0.0 for verdict in verdicts) / len(verdicts)
    found, _ = promotions(bench, GAINS, detectable_gain(bench, stated), seed=1)
    print(f"\n{kind.name}: {found['f1_macro']} of {GAINS} gains of {stated:.4f} found")
    assert found["f1_macro"] >= fewest_by_chance(GAINS, POWER)


def test_twenty_days_decide_a_large_gain(start: Start) -> None:
    """Although models have good and bad days."""
    found, _ = promotions(start(simulated.dated(20, 0.2)), GAINS, LARGE)
    print(f"\n20 days: {found} of {GAINS} large gains found")
    assert found["roc_auc"] >= fewest_by_chance(GAINS, POWER)
