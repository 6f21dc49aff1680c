"""Models of equal skill, compared again and again on the same rows by the rule of `plan_look`."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

from waterflow.config.schema import EvidenceConfig
from waterflow.promotion.looks import plan_look

EVIDENCE = EvidenceConfig(alpha=0.05, min_rows=100)
SKILL = 0.8


@cache
def critical_value(alpha: float, freedom: int) -> float:
    """Return the t value that is exceeded with probability `alpha`."""
    return float(stats.t.isf(alpha, freedom))


@dataclass
class LookedAtRows:
    """Rows with the looks at them, and the champion's hits."""

    generator: np.random.Generator
    champion: np.ndarray
    counts: np.ndarray
    reuse: str = "spend"

    @classmethod
    def of(cls, generator: np.random.Generator, rows: int, reuse: str = "spend") -> "LookedAtRows":
        """Draw the champion's hits on rows that nobody has looked at."""
        return cls(generator, generator.random(rows) < SKILL, np.zeros(rows, dtype=int), reuse)

    def grow(self, rows: int) -> None:
        """Add rows that nobody has looked at."""
        self.champion = np.concatenate([self.champion, self.generator.random(rows) < SKILL])
        self.counts = np.concatenate([self.counts, np.zeros(rows, dtype=int)])

    def look(self, challenger: np.ndarray | None = None) -> tuple[bool, np.ndarray]:
        """Compare a challenger, by default one of equal skill; returns whether it is promoted, and on which rows.

        The comparison is a t-test of the differences, exact enough at these sizes.
        """
        if challenger is None:
            challenger = self.generator.random(len(self.champion)) < SKILL
        plan = plan_look(self.counts, EVIDENCE, self.reuse)  # type: ignore[arg-type]
        self.counts[plan.chosen] += 1
        differences = challenger[plan.chosen].astype(float) - self.champion[plan.chosen]
        error = differences.std(ddof=1) / np.sqrt(len(differences))
        is_promoted = bool(plan.alpha) and differences.mean() / error > critical_value(plan.alpha, len(differences) - 1)
        if is_promoted:
            self.champion = challenger
        return is_promoted, plan.chosen


def wrong_before_any(trials: int, looks: int, growth: int, seed: int = 0, rows: int = 500) -> tuple[float, float]:
    """Return how often the first rows saw a wrong promotion, and of these how often another one."""
    first = again = 0
    for trial in range(trials):
        holdout = LookedAtRows.of(np.random.default_rng((seed, trial)), rows)
        promoted = 0
        for _ in range(looks):
            is_promoted, chosen = holdout.look()
            promoted += is_promoted and bool(chosen[:rows].any())
            holdout.grow(growth)
        first += promoted > 0
        again += promoted > 1
    return first / trials, again / max(first, 1)


def promoted_by_climbing(trials: int, looks: int, reuse: str, seed: int = 0, rows: int = 1000) -> float:
    """Return how often somebody who reads the numbers shown has a model without any skill promoted.

    All but the last are random guesses at two classes; the last is the majority vote of these, each turned around where
    its accuracy was below one half (Blum and Hardt, 2015, section 3).
    """
    promoted = 0
    for trial in range(trials):
        generator = np.random.default_rng((seed, trial))
        holdout = LookedAtRows(generator, generator.random(rows) < 0.5, np.zeros(rows, dtype=int), reuse)
        votes, is_promoted = np.zeros(rows), False
        for _ in range(looks - 1):
            hits = generator.random(rows) < 0.5
            is_promoted |= holdout.look(hits)[0]
            votes += np.where(hits, 1, -1) * (1 if hits.mean() >= 0.5 else -1)
        ties = generator.random(rows) - 0.5
        promoted += is_promoted or holdout.look(votes + ties > 0)[0]
    return promoted / trials
