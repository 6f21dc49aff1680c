"""How often the mean of a plain series of days is found to lie above 0, although it does not. ADR 7 has the table.

    python benchmarks/plain_series.py [--series 2000] [--alpha 0.05]

One row a day: an effect of variance 1, autocorrelated from day to day, and independent noise of a twelfth of that
variance or as large. The standard error and its degrees of freedom are those of a comparison on dated rows. In
brackets the power for a mean of four standard deviations of the mean of independent days.
"""

import argparse

import numpy as np
from scipy import stats

from waterflow.evaluation.dependence import Dependence, estimate_error

DAYS = (8, 12, 20, 30, 60, 120)
CELLS = ((0.0, 1 / 12), (0.5, 1 / 12), (0.7, 1 / 12), (0.8, 1 / 12), (0.7, 1.0), (0.8, 1.0))


def draw_series(generator: np.random.Generator, count: int, days: int, memory: float, noise: float) -> np.ndarray:
    """Simulate series, shape (count, days)."""
    effects = generator.normal(size=(count, days + 50))
    for place in range(1, days + 50):
        effects[:, place] = memory * effects[:, place - 1] + np.sqrt(1 - memory**2) * effects[:, place]
    return effects[:, 50:] + np.sqrt(noise) * generator.normal(size=(count, days))


def is_above_zero(series: np.ndarray, alpha: float) -> bool:
    """Test whether the mean lies above 0, as a comparison does."""
    mean = series.mean()
    error = estimate_error(series - mean, Dependence(periods=np.arange(len(series))), None)
    return bool(mean > stats.t.isf(alpha, error.freedom) * error.standard_error)


def main() -> None:
    """Print the rates, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--alpha", type=float, default=0.05)
    given = parser.parse_args()
    print("| days | " + " | ".join(f"AR {memory}, noise {noise:.2g}" for memory, noise in CELLS) + " |")
    print("|---" * (len(CELLS) + 1) + "|")
    for days in DAYS:
        rates = []
        for memory, noise in CELLS:
            drawn = draw_series(np.random.default_rng(days), given.series, days, memory, noise)
            some, gain = drawn[: given.series // 5], 4 * np.sqrt((1 + noise) / days)
            rate, power = (
                np.mean([is_above_zero(series, given.alpha) for series in tested]) for tested in (drawn, some + gain)
            )
            rates.append(f"{rate:.3f} ({power:.2f})")
        print(f"| {days} | {' | '.join(rates)} |", flush=True)


if __name__ == "__main__":
    main()
