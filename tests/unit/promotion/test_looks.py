"""What a look at held-out rows may spend, and which rows it uses."""

import numpy as np
import pytest
from support.simulated import most_by_chance
from support.simulated_looks import promoted_by_climbing

from waterflow.config.schema import EvidenceConfig
from waterflow.promotion.looks import FLOOR, alpha_of_look, plan_look, resamples_for

EVIDENCE = EvidenceConfig(alpha=0.05, min_rows=30)


def test_the_first_look_spends_alpha_and_all_others_together_as_much() -> None:
    """1/2 + 1/6 + 1/12 + … is 1."""
    spent = [alpha_of_look(number, 0.05) for number in range(1, 200_001)]
    assert spent[:4] == pytest.approx([0.05, 0.025, 0.05 / 6, 0.05 / 12])
    assert sum(spent[1:]) == pytest.approx(0.05, rel=1e-4)
    assert sum(spent) <= 0.1


def test_rows_that_nobody_has_looked_at_are_compared_at_alpha() -> None:
    """All of them."""
    plan = plan_look(np.zeros(50, dtype=int), EVIDENCE)
    assert (plan.row_count, plan.number, plan.alpha) == (50, 1, 0.05)


def test_a_set_of_rows_counts_as_its_most_looked_at_row() -> None:
    """One row of the third look makes all of them one."""
    plan = plan_look(np.array([0] * 10 + [1] * 39 + [2]), EVIDENCE)
    assert (plan.row_count, plan.number, plan.alpha) == (50, 3, pytest.approx(0.05 / 6))


def test_fresh_rows_are_used_alone_where_they_show_more() -> None:
    """Half of the rows at alpha show less than all at alpha/2, and more than all at alpha/20."""
    assert plan_look(np.repeat([0, 1], 500), EVIDENCE).row_count == 1000
    plan = plan_look(np.repeat([0, 4], 500), EVIDENCE)
    assert (plan.row_count, plan.number, plan.alpha) == (500, 1, 0.05)
    assert plan.chosen[:500].all()


def test_too_few_fresh_rows_do_not_decide_alone() -> None:
    """`min_rows` of them are enough where nothing else is left; fewer are not."""
    assert plan_look(np.repeat([0, 9], [30, 500]), EVIDENCE).row_count == 30
    spent = plan_look(np.repeat([0, 9], [29, 500]), EVIDENCE)
    assert (spent.row_count, spent.number, spent.alpha) == (529, 10, 0.0)


def test_nothing_is_left_below_the_floor() -> None:
    """Seven looks at 0.05; a stricter run has its first look all the same."""
    left = [plan_look(np.full(50, looks), EVIDENCE).alpha for looks in range(9)]
    assert [alpha > 0 for alpha in left] == [True] * 7 + [False] * 2
    assert min(alpha for alpha in left if alpha) >= FLOOR
    strict = EvidenceConfig(alpha=0.0001)
    assert plan_look(np.zeros(50, dtype=int), strict).alpha == 0.0001
    assert plan_look(np.ones(50, dtype=int), strict).alpha == 0.0


def test_looks_can_be_ignored() -> None:
    """They are still counted."""
    plan = plan_look(np.repeat([0, 9], 500), EVIDENCE, "ignore")
    assert (plan.row_count, plan.number, plan.alpha) == (1000, 10, 0.05)


def test_resamples_reach_the_alpha_that_is_left() -> None:
    """Twenty of them are expected in each tail; a run's own number stays where it is enough."""
    assert resamples_for(0.05, 2000) == 2000
    assert resamples_for(FLOOR, 2000) == 20_000


def test_whoever_climbs_by_numbers_is_stopped_by_spending() -> None:
    """Thirty random guesses and their vote pass without it, and seldom with it; tests/evidence counts thousands."""
    assert promoted_by_climbing(10, 30, reuse="ignore") > 0.4
    assert promoted_by_climbing(10, 30) <= most_by_chance(10, 0.1) / 10
