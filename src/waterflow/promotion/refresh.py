"""Refreshes: runs of the champion's own recipe, on other rows. They need only be not worse.

Compared with the champion alone, small losses would add up: each refresh may be a little worse than the one before.
So an attempt is also compared, on the same rows, with a reference that stays, the version that last won by being
better. That is the remedy for such creep in trials of non-inferiority (Everson-Stewart and Emerson, Statistics in
Medicine 29, 2010). Attempts spend `alpha` as looks do: the k-th since a version was promoted may spend
alpha / ((k-1) k). So the chance that the next refresh to be promoted is worse than the reference by the margin is at
most twice `alpha`, however many are attempted before (Bonferroni).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from waterflow.config.schema import PipelineConfig
from waterflow.ledger.replay import find_reference
from waterflow.promotion.holdout import reach_verdict
from waterflow.promotion.looks import FLOOR, LookPlan, alpha_of_look, resamples_for
from waterflow.promotion.opponents import Holdout, Opponent, find_champion
from waterflow.promotion.predictions import UnusableError
from waterflow.records.evaluation import RefreshResult
from waterflow.records.promotion import Decision, Look
from waterflow.resources import Resources
from waterflow.scoring.metrics import Predicted
from waterflow.tracking.registry import Version

MARK = "refresh-"
KEY_LENGTH = 64  # of the ledger's column


def key_of_attempt(evaluation_key: str) -> str:
    """Return the key of a look that attempts a refresh. Its first letters tell it from other looks."""
    return f"{MARK}{evaluation_key}"[:KEY_LENGTH]


def number_attempt(entries: Sequence[Decision], looks: Sequence[Look], attempt_key: str) -> int:
    """Return the number of an attempt, from 1.

    All looks that attempted a refresh since a version was last promoted count, whatever came of them.
    """
    promoted = [row.decided_at for row in entries if row.kind in ("promote", "refresh")]
    since = [look for look in looks if not promoted or look.looked_at > promoted[-1]]
    keys = [look.evaluation_key for look in since if look.evaluation_key.startswith(MARK)]
    return keys.index(attempt_key) + 1 if attempt_key in keys else len(keys) + 1


def compare_with_reference(
    config: PipelineConfig,
    champion: Version,
    opponent: Opponent,
    challenger: Predicted,
    holdout: Holdout,
    compared: NDArray[np.bool_],
    plan: LookPlan,
    attempt_key: str,
    resources: Resources,
) -> RefreshResult:
    """Compare a refresh with the version that last won.

    The rows are those that the verdict on `champion`, here the `opponent`, `compared`, of shape (held-out rows,), as
    far as the reference has not seen them.
    """
    entries = resources.ledger.entries(config.name)
    number = number_attempt(entries, resources.ledger.looks(config.name), attempt_key)
    version, model_id = find_reference(entries, champion.version, champion.model_id)
    if version != champion.version:
        opponent = _load_reference(config, version, model_id, challenger, holdout, resources)
    rows = holdout.rows[compared].reset_index(drop=True)
    return compare_refresh(config, number, plan.alpha, challenger.take(compared), opponent.take(compared), rows)


def compare_refresh(
    config: PipelineConfig,
    number: int,
    alpha: float,
    challenger: Predicted,
    reference: Opponent,
    rows: pd.DataFrame,
) -> RefreshResult:
    """Compare a refresh with the reference on the main metric.

    It may spend what is left to the attempt of this `number`, and no more than `alpha`, which the look at the rows has.
    """
    if config.promotion.reuse == "spend":
        alpha = min(alpha, alpha_of_look(number, config.evidence.alpha))
    # Attempts have no floor: beyond what resamples reach, Student's t decides.
    resamples = resamples_for(max(alpha, FLOOR), config.evidence.resamples)
    rules = config.promotion.model_copy(update={"alpha": alpha, "resamples": resamples, "not_worse_on": ()})
    metrics = config.metrics.model_copy(update={"show": (config.metrics.main,)})
    narrow = config.model_copy(update={"promotion": rules, "metrics": metrics})
    verdict, _ = reach_verdict(narrow, challenger, reference, rows)
    problem = reference.unusable or reference.doubt or (verdict.reason if verdict.low is None else "")
    return RefreshResult(
        version=reference.version,
        attempt=number,
        alpha=alpha,
        rows=verdict.rows,
        difference=verdict.difference,
        low=None if problem else verdict.low,
        problem=problem,
    )


def _load_reference(
    config: PipelineConfig,
    number: int,
    model_id: str | None,
    challenger: Predicted,
    holdout: Holdout,
    resources: Resources,
) -> Opponent:
    missing = Opponent(f"version {number}", number, None, np.zeros(len(holdout.rows), dtype=bool))
    version = resources.registry.get_version(config.name, number)
    if version is None or model_id not in (None, version.model_id):
        return replace(missing, problem=f"{missing.name} is no longer in the registry")
    try:
        return find_champion(version, config, holdout, challenger, resources)
    except UnusableError as error:
        return replace(missing, problem=f"{missing.name} is unusable: {error}")
