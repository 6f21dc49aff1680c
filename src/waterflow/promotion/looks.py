"""Looks at held-out rows, and what they may spend.

Says what was spent on the rows, and what another verdict may spend. Each verdict shows something of the rows that it
compares on, so whoever tries often enough is promoted by chance. The first look at a row may spend `alpha`, and all
later ones together as much again: the k-th look spends alpha / ((k-1) k), and the sum of 1 / (j (j+1)) is 1. Which rows
a verdict uses follows from counts alone, never from what was seen. So until a first promotion, the chance of a wrong
one on any set of rows is at most twice `alpha` (Bonferroni): up to there all verdicts were the same, so nobody could
react to a difference between them.
"""

import json
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from waterflow.config.schema import EvidenceConfig, PipelineConfig
from waterflow.data.row_identity import hash_rows, identity_columns
from waterflow.errors import LedgerConflict, LedgerError, StoreError
from waterflow.records.data import Blob, Prepared
from waterflow.records.promotion import Look
from waterflow.resources import Resources
from waterflow.stores.base import get_file, put_file, scratch_folder

logger = logging.getLogger(__name__)

FLOOR = 0.001  # below it nothing is promoted: resamples that resolve less take too long
TAIL_RESAMPLES = 20  # at least so many are expected beyond each end of the interval
POWER = 0.8
ATTEMPTS = 20
HEADER = b"identity columns: "

Identities = NDArray[np.uint64]


@dataclass(frozen=True)
class LookPlan:
    """The rows that a verdict compares on.

    They have shape (rows,). `alpha` is what the verdict may spend. `number` counts the looks at the most looked-at of
    them, this one included; `alpha` is 0 when nothing is left.
    """

    chosen: NDArray[np.bool_]
    number: int
    alpha: float

    @property
    def row_count(self) -> int:
        """Return the number of rows to compare on."""
        return int(self.chosen.sum())


def alpha_of_look(number: int, alpha: float) -> float:
    """Return what the k-th look at a row may spend. All from the second on sum to `alpha`."""
    return alpha if number == 1 else alpha / ((number - 1) * number)


def plan_look(
    counts: NDArray[np.int64], evidence: EvidenceConfig, reuse: Literal["spend", "ignore"] = "spend"
) -> LookPlan:
    """Choose between all rows and the fresh ones.

    All rows may spend what is left, the fresh ones `alpha`. `counts` are the earlier looks at each row. Fresh rows are
    used when there are `min_rows` of them and either nothing is left for all rows or the fresh ones would show a
    smaller difference.
    """
    everything, fresh = np.ones(len(counts), dtype=bool), counts == 0
    number = int(counts.max(initial=0)) + 1
    if reuse == "ignore":
        return LookPlan(everything, number, evidence.alpha)
    left = alpha_of_look(number, evidence.alpha)
    if left < min(FLOOR, evidence.alpha):
        left = 0.0
    fresh_count = int(fresh.sum())
    is_enough = number > 1 and fresh_count >= evidence.min_rows
    if is_enough and (not left or _detectable(fresh_count, evidence.alpha) <= _detectable(len(counts), left)):
        return LookPlan(fresh, 1, evidence.alpha)
    return LookPlan(everything, number, left)


def resamples_for(alpha: float, resamples: int) -> int:
    """Return enough resamples for an interval at `alpha`. Never fewer than configured."""
    return max(resamples, math.ceil(TAIL_RESAMPLES / alpha))


def spend_alpha(config: PipelineConfig, plan: LookPlan) -> PipelineConfig:
    """Return the configuration of a verdict. It spends what the plan allows."""
    if not plan.alpha:  # nothing is decided, and no interval is shown
        return config
    spent = {"alpha": plan.alpha, "resamples": resamples_for(plan.alpha, config.evidence.resamples)}
    return config.model_copy(update={"promotion": config.promotion.model_copy(update=spent)})


def take_look(
    prepared: Prepared, config: PipelineConfig, evaluation_key: str, rows: pd.DataFrame, resources: Resources
) -> LookPlan:
    """Append a planned look at `rows` to the ledger. That happens before anything is compared.

    The same evaluation again, as by a retry, is the same look. Raises LedgerError when others always come first.
    """
    names = identity_columns(rows, config)
    for _ in range(ATTEMPTS):
        looks = resources.ledger.looks(config.name)
        own = next((look for look in looks if look.evaluation_key == evaluation_key), None)
        earlier = looks if own is None else looks[: own.sequence - 1]
        plan = plan_look(count_looks(rows, config, earlier, resources), config.evidence, config.promotion.reuse)
        if own is not None or not plan.row_count:
            return plan
        look = Look(
            model=config.name,
            sequence=len(looks) + 1,
            evaluation_key=evaluation_key,
            run_id=prepared.parent_run_id,
            rows=store_identities(rows[plan.chosen], names, resources),
            row_count=plan.row_count,
            number=plan.number,
            alpha=plan.alpha,
            looked_at=datetime.now(UTC),
        )
        try:
            resources.ledger.append_look(look)
        except LedgerConflict as conflict:
            logger.info("%s", conflict)
            continue
        return plan
    raise LedgerError(f"ledger of {config.name}: other looks came first {ATTEMPTS} times; run the step evaluate again")


def count_looks(
    rows: pd.DataFrame, config: PipelineConfig, looks: Sequence[Look], resources: Resources
) -> NDArray[np.int64]:
    """Count the looks at each row. Returns shape (rows,).

    A look knows its rows by the columns that identified them then, so another key or other features hide none. A look
    whose rows are lost, or cannot be recognized because such a column is gone, counts for all rows, except for those
    whose time is later than the look.
    """
    counts, hashed = np.zeros(len(rows), dtype=np.int64), cache(lambda names: hash_rows(rows, names))
    times = pd.to_datetime(rows[config.time_column], utc=True) if config.time_column else None
    for blob in dict.fromkeys(look.rows for look in looks):
        dates = [look.looked_at for look in looks if look.rows == blob]
        try:
            counts += len(dates) * _recognize(rows, config, blob, hashed, resources)
        except (StoreError, KeyError) as error:
            logger.warning("the rows of %d looks cannot be recognized, so they count for all: %s", len(dates), error)
            counts += sum(1 if times is None else (times <= pd.Timestamp(date)).to_numpy() for date in dates)
    return counts


def _recognize(
    rows: pd.DataFrame,
    config: PipelineConfig,
    blob: Blob,
    hashed: Callable[[tuple[str, ...]], Identities],
    resources: Resources,
) -> NDArray[np.bool_]:
    """Return which rows a look has seen.

    `hashed` returns the rows' identities by some columns. Raises KeyError where a column that identified the look's
    rows is gone.
    """
    names, seen = _load_identities(blob, resources)
    own = identity_columns(rows, config)
    recognized = np.isin(hashed(tuple(own)), seen)
    if names is None or names == own or (recognized.any() and not {*names} <= {*rows.columns}):
        return recognized  # the last are columns that were renamed
    return recognized | np.isin(hashed(tuple(names)), seen)


def store_identities(rows: pd.DataFrame, names: Sequence[str], resources: Resources) -> Blob:
    """Store the identities of rows by some columns. They are sorted, and each is there once."""
    header = HEADER + json.dumps(list(names)).encode() + b"\n"
    with scratch_folder() as folder:
        path = folder / "identities"
        path.write_bytes(header + np.unique(hash_rows(rows, names)).astype("<u8").tobytes())  # equal rows, equal blob
        return put_file(resources.store, path)


def _load_identities(blob: Blob, resources: Resources) -> tuple[list[str] | None, Identities]:
    """Return a look's key columns and its rows' identities. Older blobs do not name the columns."""
    with scratch_folder() as folder:
        content = get_file(resources.store, blob, folder / "identities").read_bytes()
    if not content.startswith(HEADER):
        return None, np.frombuffer(content, dtype="<u8")
    header, _, identities = content.removeprefix(HEADER).partition(b"\n")
    return json.loads(header), np.frombuffer(identities, dtype="<u8")


def _detectable(rows: int, alpha: float) -> float:
    """Return the difference that so many rows can show.

    The power is 0.8, and the unit is standard deviations of a row.
    """
    return float(stats.norm.isf(alpha) + stats.norm.ppf(POWER)) / math.sqrt(rows)
