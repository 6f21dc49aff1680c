"""What is lost by refreshes in a row, with the comparison with the version that last won and without it.

    python benchmarks/refreshes.py [--histories 60] [--attempts 24] [--only TEXT]

Each attempt is compared on 1,000 fresh rows, where the standard error of a difference in accuracy is 0.012, and decided
with a margin of 0.03 at alpha 0.05, by the code of `evaluate` and `promote`.
"""

import argparse
import sys
from pathlib import Path

from scipy import stats

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.simulated_refreshes import simulate, worse_than_champion, worse_than_reference

PLANS = {
    "as good as the champion": worse_than_champion(0.0),
    "0.005 worse than the champion": worse_than_champion(0.005),
    "0.010 worse than the champion": worse_than_champion(0.01),
    "0.030 worse than the last to win": worse_than_reference(0.03),
}


def main() -> None:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--histories", type=int, default=60)
    parser.add_argument("--attempts", type=int, default=24)
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    print(
        "| each attempt is | compared with | first passes | pass | lost at the end | histories with a wrong refresh |"
    )
    print("|---|---|---|---|---|---|")
    for name, plan in ((name, plan) for name, plan in PLANS.items() if given.only in name):
        for knows_reference in (False, True):
            found = simulate(plan, given.histories, given.attempts, knows_reference=knows_reference)
            test = stats.binomtest(round(found.wrong * given.histories), given.histories)
            low, high = test.proportion_ci()
            rates = (
                f"{found.first:.2f} | {found.passed:.2f} | {found.lost:.3f} | {found.wrong:.3f} ({low:.3f}–{high:.3f})"
            )
            print(f"| {name} | {'both' if knows_reference else 'champion'} | {rates} |", flush=True)


if __name__ == "__main__":
    main()
