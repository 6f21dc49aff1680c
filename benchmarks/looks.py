"""What repeated looks at the same rows do: models of equal skill, and somebody who climbs by what is shown.

    python benchmarks/looks.py [--trials 400] [--looks 20] [--climbers 60] [--climbs 200] [--only equal | climbing]

Every look is planned, compared and decided by the code of `evaluate`, at alpha 0.05. Equal models are right on 80 % of
500 rows that stay or grow; climbers guess at two classes of 1,000 rows, and combine their guesses by what they saw.
"""

import argparse
import sys
from pathlib import Path

from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.simulated_looks import promoted_by_climbing, wrong_before_any


def describe_rate(rate: float, trials: int) -> str:
    """Return a rate with its 95 % interval (Clopper and Pearson)."""
    low, high = stats.binomtest(round(rate * trials), trials).proportion_ci()
    return f"{rate:.3f} ({low:.3f}–{high:.3f}) of {trials}"


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--looks", type=int, default=20)
    parser.add_argument("--climbers", type=int, default=60)
    parser.add_argument("--climbs", type=int, default=200)
    parser.add_argument("--only", choices=["equal", "climbing"])
    given = parser.parse_args()
    for growth in () if given.only == "climbing" else (0, 50, 200):
        first, again = wrong_before_any(given.trials, given.looks, growth)
        promoted = round(first * given.trials)
        print(
            f"500 rows and {growth} new ones a look: wrong {describe_rate(first, given.trials)}; "
            f"another one after it {round(again * promoted)} of {promoted}",
            flush=True,
        )
    ways = {
        "numbers, spend": {},
        "verdicts alone, spend": {"shows_numbers": False},
        "numbers, ignore": {"reuse": "ignore"},
        "verdicts alone, ignore": {"shows_numbers": False, "reuse": "ignore"},
    }
    for name, settings in {} if given.only == "equal" else ways.items():
        rate = promoted_by_climbing(given.climbers, given.climbs, **settings)
        print(f"climbing by {name}: {describe_rate(rate, given.climbers)}", flush=True)


if __name__ == "__main__":
    main()
