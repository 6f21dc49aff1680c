"""Models of equal skill, compared again and again on the same rows as `evaluate` compares them."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from support.projects import config_of
from waterflow.promotion.holdout import reach_verdict
from waterflow.promotion.looks import plan_look, spend_alpha
from waterflow.promotion.opponents import Opponent
from waterflow.scoring.metrics import Predicted

CONFIG = config_of(
    metrics={"main": "accuracy", "show": ["accuracy"]},
    promotion={"alpha": 0.05, "min_rows": 100, "resamples": 500, "dependence": {}},
)
EVIDENCE = CONFIG.evidence
SKILL = 0.8
HELD, NOT_HELD = -2.06, 0.11  # standard errors: means of a normal distribution below its 5 % quantile, and above


@dataclass
class LookedAtRows:
    """Rows of two classes with the looks at them, and the champion's predictions."""

    generator: np.random.Generator
    skill: float = SKILL
    reuse: str = "spend"
    truth: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    champion: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))

    def grow(self, rows: int) -> None:
        """Add rows that nobody has looked at."""
        truth = self.generator.integers(0, 2, rows)
        self.champion = np.concatenate([self.champion, self.guess(truth)])
        self.truth = np.concatenate([self.truth, truth])
        self.counts = np.concatenate([self.counts, np.zeros(rows, dtype=int)])

    def guess(self, truth: np.ndarray) -> np.ndarray:
        """Predict with the champion's skill."""
        return np.where(self.generator.random(len(truth)) < self.skill, truth, 1 - truth)

    def look(self, challenger: np.ndarray) -> tuple[str, np.ndarray]:
        """Compare a challenger; return the outcome that is shown, and on which rows."""
        plan = plan_look(self.counts, EVIDENCE, self.reuse)  # type: ignore[arg-type]
        self.counts[plan.chosen] += 1
        if not plan.alpha:  # nothing is decided
            return "insufficient evidence", plan.chosen
        own, theirs = (
            Predicted(self.truth[plan.chosen], calls[plan.chosen], (0, 1)) for calls in (challenger, self.champion)
        )
        opponent = Opponent("champion version 1", 1, theirs, np.ones(plan.row_count, dtype=bool))
        rows = pd.DataFrame({CONFIG.target: self.truth[plan.chosen]})
        verdict, _ = reach_verdict(spend_alpha(CONFIG, plan), own, opponent, rows)
        if verdict.outcome == "promote":
            self.champion = challenger
        return verdict.outcome, plan.chosen


def wrong_before_any(trials: int, looks: int, growth: int, seed: int = 0, rows: int = 500) -> tuple[float, float]:
    """Return how often the first rows saw a wrong promotion, and of these how often another one."""
    first = again = 0
    for trial in range(trials):
        holdout = LookedAtRows(np.random.default_rng((seed, trial)))
        holdout.grow(rows)
        promoted = 0
        for _ in range(looks):
            outcome, chosen = holdout.look(holdout.guess(holdout.truth))
            promoted += outcome == "promote" and bool(chosen[:rows].any())
            holdout.grow(growth)
        first += promoted > 0
        again += promoted > 1
    return first / trials, again / max(first, 1)


def promoted_by_climbing(
    trials: int, looks: int, *, reuse: str = "spend", shows_numbers: bool = True, seed: int = 0, rows: int = 1000
) -> float:
    """Return how often somebody who reads what is shown has a model without any skill promoted.

    All but the last are random guesses at two classes; the last is the majority vote of these. Where numbers are shown,
    each was turned around where its accuracy was below one half (Blum and Hardt, 2015, section 3). Where only verdicts
    are, those that were held are turned around, and count for about how far such a guess is below one half.
    """
    promoted = 0
    for trial in range(trials):
        holdout = LookedAtRows(np.random.default_rng((seed, trial)), skill=0.5, reuse=reuse)
        holdout.grow(rows)
        votes, is_promoted = np.zeros(rows), False
        for _ in range(looks - 1):
            calls = holdout.generator.integers(0, 2, rows)
            outcome, _ = holdout.look(calls)
            is_promoted |= outcome == "promote"
            if shows_numbers:
                weight = float(np.sign(np.mean(calls == holdout.truth) - 0.5))
            else:
                weight = HELD if outcome == "hold" else NOT_HELD
            votes += np.where(calls == 1, 1, -1) * weight
        ties = (holdout.generator.random(rows) - 0.5) * NOT_HELD
        promoted += is_promoted or holdout.look((votes + ties > 0).astype(int))[0] == "promote"
    return promoted / trials
