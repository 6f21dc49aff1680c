"""Refreshes in a row, each on fresh rows, compared as `evaluate` compares them and decided as `promote` decides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
from scipy import stats

from support.projects import config_of
from waterflow.ledger.replay import find_reference, sum_refreshes
from waterflow.promotion.holdout import reach_verdict
from waterflow.promotion.opponents import Opponent
from waterflow.promotion.refresh import compare_refresh, key_of_attempt, number_attempt
from waterflow.promotion.rules import PromotionState, decide
from waterflow.records.data import Blob
from waterflow.records.evaluation import RefreshResult
from waterflow.records.promotion import Decision, Look
from waterflow.scoring.metrics import Predicted

MARGIN = 0.03
CONFIG = config_of(
    metrics={"main": "accuracy", "show": ["accuracy"]},
    promotion={"alpha": 0.05, "min_rows": 100, "resamples": 500, "dependence": {}, "refresh_margin": MARGIN},
)
SKILL = 0.8  # the first champion's chance to be right
SHARED = 0.77  # of the variance of what makes models right or wrong
ROWS = 1000  # then the standard error of a difference in accuracy is 0.012
ROUNDING = 1e-9
START = datetime(2026, 1, 1, tzinfo=UTC)
Plan = Callable[[float, float], float]  # the skill of the next challenger, by those of champion and reference


@dataclass
class Attempt:
    """What became of an attempt, and by how much its model is truly worse than the reference."""

    kind: str
    loss: float


@dataclass
class Refreshed:
    """A champion, the decisions and looks since it won, and the true skill of every version."""

    generator: np.random.Generator
    knows_reference: bool = True
    skills: dict[int, float] = field(default_factory=lambda: {1: SKILL})
    entries: list[Decision] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._append("promote", 1, None, 1)

    @classmethod
    def start(cls, *seed: int, knows_reference: bool = True) -> "Refreshed":
        """Return the state after the first champion has won."""
        return cls(np.random.default_rng(seed), knows_reference)

    @property
    def champion(self) -> int:
        """The version that is champion."""
        return self.entries[-1].to_version or 1

    @property
    def reference(self) -> int:
        """The version that last won by being better."""
        return find_reference(self.entries, self.champion, None)[0]

    def attempt(self, plan: Plan) -> Attempt:
        """Compare the next version with champion and reference on fresh rows, and decide."""
        champion, reference, version = self.champion, self.reference, len(self.skills) + 1
        self.skills[version] = plan(self.skills[champion], self.skills[reference])
        truth, ease = self.generator.integers(0, 2, ROWS), self.generator.normal(size=ROWS)
        predicted = {number: self._predict(number, truth, ease) for number in {champion, reference, version}}
        rows, challenger = pd.DataFrame({CONFIG.target: truth}), predicted[version]
        key = key_of_attempt(str(version))
        self.looks.append(_look(len(self.looks) + 1, key, self._now()))
        verdict, _ = reach_verdict(CONFIG, challenger, _opponent(champion, predicted[champion]), rows)
        number = number_attempt(self.entries, self.looks, key)
        refresh = RefreshResult(version=None, attempt=number, alpha=0.05, rows=ROWS, difference=0.0, low=0.0)
        if self.knows_reference:
            opponent = _opponent(reference, predicted[reference])
            refresh = compare_refresh(CONFIG, number, CONFIG.evidence.alpha, challenger, opponent, rows)
        verdict = verdict.model_copy(update={"refresh": refresh})
        outcome = decide(
            PromotionState(
                "flowers",
                verdict=verdict,
                champion_version=champion,
                checks=(),
                refresh_margin=MARGIN,
                refreshed=sum_refreshes(self.entries),
            )
        )
        loss = self.skills[reference] - self.skills[version]
        self._append(outcome.kind, version, champion, champion if outcome.kind == "hold" else version, verdict)
        return Attempt(outcome.kind, loss)

    def _predict(self, version: int, truth: np.ndarray, ease: np.ndarray) -> Predicted:
        own = self.generator.normal(size=len(truth))
        is_right = np.sqrt(SHARED) * ease + np.sqrt(1 - SHARED) * own < stats.norm.ppf(self.skills[version])
        return Predicted(truth, np.where(is_right, truth, 1 - truth), (0, 1))

    def _now(self) -> datetime:
        return START + timedelta(minutes=len(self.entries) + len(self.looks))

    def _append(self, kind, version, before, after, verdict=None) -> None:  # type: ignore[no-untyped-def]
        row = {"model": "flowers", "sequence": len(self.entries) + 1, "kind": kind, "version": version}
        row |= {"from_version": before, "to_version": after, "verdict": verdict, "decided_at": self._now()}
        self.entries.append(Decision.model_validate({**row, "reason": "", "actor": ""}))


@dataclass(frozen=True)
class Outcome:
    """Shares of simulated histories.

    `first` and `passed`: attempts that became champion, of the first ones and of all. `lost`: by how much the last
    champion is worse than the first one, on average. `wrong`: histories in which a refresh was promoted that is worse
    than its reference by the margin or more.
    """

    first: float
    passed: float
    lost: float
    wrong: float


def simulate(plan: Plan, histories: int, attempts: int, *, knows_reference: bool = True, seed: int = 0) -> Outcome:
    """Simulate so many histories of so many attempts, each planned by the skills that it would replace."""
    first = passed = lost = wrong = 0.0
    for history in range(histories):
        state = Refreshed.start(seed, history, knows_reference=knows_reference)
        made = [state.attempt(plan) for _ in range(attempts)]
        first += made[0].kind != "hold"
        passed += sum(entry.kind != "hold" for entry in made)
        lost += SKILL - state.skills[state.champion]
        wrong += any(entry.kind == "refresh" and entry.loss >= MARGIN - ROUNDING for entry in made)
    return Outcome(first / histories, passed / histories / attempts, lost / histories, wrong / histories)


def worse_than_champion(step: float) -> Plan:
    """Plan challengers that are each a step worse than the champion."""
    return lambda champion, reference: champion - step


def worse_than_reference(step: float) -> Plan:
    """Plan challengers that are each a step worse than the version that last won."""
    return lambda champion, reference: reference - step


def _opponent(version: int, predicted: Predicted) -> Opponent:
    return Opponent(f"champion version {version}", version, predicted, np.ones(len(predicted.truth), dtype=bool))


def _look(sequence: int, key: str, moment: datetime) -> Look:
    blob = Blob(key="", digest="", size_bytes=0)
    names = {"model": "flowers", "sequence": sequence, "evaluation_key": key, "run_id": "", "rows": blob}
    return Look.model_validate({**names, "row_count": ROWS, "number": 1, "alpha": 0.05, "looked_at": moment})
