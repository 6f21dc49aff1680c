"""What repeated looks at the same rows do: models of equal skill, and somebody who climbs by the numbers shown."""

import os

import pytest
from support.simulated import most_by_chance
from support.simulated_looks import EVIDENCE, promoted_by_climbing, wrong_before_any

TRIALS = 8 * int(os.environ.get("EVIDENCE_PAIRS", "500"))

pytestmark = pytest.mark.evidence


@pytest.mark.parametrize("growth", [0, 50, 200])
def test_all_looks_at_the_same_rows_promote_wrongly_at_most_at_twice_alpha(growth: int) -> None:
    """Twenty models in a row, on rows that stay or grow; after a wrong promotion others are rarer still."""
    first, again = wrong_before_any(TRIALS, looks=20, growth=growth)
    print(
        f"\n{growth} new rows a look: {first:.3f} of the first rows see a wrong promotion, {again:.3f} of these another"
    )
    assert first * TRIALS <= most_by_chance(TRIALS, 2 * EVIDENCE.alpha)
    assert again <= 2 * EVIDENCE.alpha


def test_climbing_by_numbers_is_reported() -> None:
    """Without spending it always succeeds; with it, or where only the verdict is shown, only as often as chance."""
    trials = max(TRIALS // 20, 20)
    spent, hidden = (promoted_by_climbing(trials, 200, shows_numbers=shown) for shown in (True, False))
    ignored = promoted_by_climbing(trials // 4, 200, reuse="ignore")
    print(
        f"\nrandom guesses promoted in 200 attempts: by numbers shown {spent:.3f} (reuse: ignore {ignored:.3f}), "
        f"by verdicts alone {hidden:.3f}"
    )
    assert max(spent, hidden) * trials <= most_by_chance(trials, 2 * EVIDENCE.alpha)
    assert ignored > 0.9
