"""Records of an evaluation: gate, verdict and their numbers."""

from typing import Literal

from pydantic import Field

from waterflow.records.base import Record
from waterflow.records.data import Blob
from waterflow.records.training import Trained

Rule = Literal["at_least", "at_most"]


class GateResult(Record):
    """The result of the pipeline's gate, with its numbers. The gate is declared in the pipeline's YAML."""

    metric: str
    value: float | None
    threshold: float
    rule: Rule
    passed: bool
    reason: str


class SliceResult(Record):
    """The comparison on the rows of one slice.

    A slice is the rows with one value of a column. The comparison is the same as on all rows. `worse` says that the
    model is shown to be worse. If nothing was compared, `note` says why: too few rows, or a metric without a value
    there.
    """

    column: str
    value: str
    rows: int
    challenger: float | None
    champion: float | None
    difference: float | None
    low: float | None
    high: float | None
    worse: bool
    note: str = ""


class MetricResult(Record):
    """One metric of both models. `difference` is oriented, and intervals have the verdict's confidence."""

    metric: str
    challenger: float
    challenger_low: float
    challenger_high: float
    champion: float
    champion_low: float
    champion_high: float
    difference: float
    low: float
    high: float


class RefreshResult(Record):
    """A refresh compared with `version`, which last won.

    It is the `attempt`-th since a version was promoted, and may spend `alpha`; `low` bounds the oriented `difference`
    at that. `problem` says why nothing bounds it.
    """

    version: int | None
    attempt: int
    alpha: float
    rows: int
    difference: float | None
    low: float | None
    problem: str = ""


class Verdict(Record):
    """The comparison of two models on the same rows.

    `difference` is oriented: positive means that the challenger is better, whichever way the metric goes; `low` and
    `high` bound it at confidence `1 - 2·alpha`. `p_value` is one-sided. `smallest_detectable` is the difference that
    this holdout would have shown in four of five cases. `against` names the champion's version or the baseline;
    `disjoint` says that the champion is known not to have been fitted on these rows. `effective_rows` independent rows
    would tell as much; `clusters` says which rows were drawn together, `warnings` what weakens the verdict. `look`
    counts the verdicts on the most looked-at row, this one included; `looked_at_rows` were set aside in favour of fresh
    ones; `alpha` is what this look may spend. `refresh` is there where the champion's own recipe was compared.
    """

    outcome: Literal["promote", "hold", "insufficient evidence"]
    reason: str
    metric: str
    against: str
    champion_version: int | None = None
    champion_model_id: str | None = None
    rows: int
    effective_rows: float | None = None
    clusters: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    excluded_rows: int = 0
    looked_at_rows: int = 0
    look: int = 1
    disjoint: bool
    challenger: float | None = None
    champion: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    mcnemar_p_value: float | None = None
    smallest_detectable: float | None = None
    alpha: float
    min_gain: float
    resamples: int
    metrics: tuple[MetricResult, ...] = ()
    slices: tuple[SliceResult, ...] = ()
    predictions: Blob | None = None
    refresh: RefreshResult | None = None

    def numbers(self) -> dict[str, float]:
        """Return the numbers that were computed, by name."""
        names = ("difference", "low", "high", "p_value", "smallest_detectable", "effective_rows")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


class Evaluated(Record):
    """The ranked candidates, and the winner's scores on the holdout.

    `compared` are the fits of that recipe whose predictions of the holdout were compared, the latest last; empty where
    that is the winner's own fit. `recipe` is the digest of the winner's settings, tuned values apart; `is_refresh` says
    that the champion has the same.
    `action_key` names all that decided this evaluation. `cached_from` is the MLflow run that evaluated the same models
    before, where nothing was compared.
    """

    ranked: tuple[Trained, ...] = Field(min_length=1)
    compared: tuple[Trained, ...] = ()
    missing: tuple[str, ...]
    main_metric: str
    exploratory: bool
    holdout_rows: int
    holdout_metrics: dict[str, float]
    gate: GateResult | None
    verdict: Verdict | None = None
    recipe: str = ""
    is_refresh: bool = False
    action_key: str = ""
    cached_from: str | None = None

    @property
    def winner(self) -> Trained:
        """The first of the ranked candidates."""
        return self.ranked[0]

    @property
    def challenger(self) -> Trained:
        """The latest fit that was compared with the champion."""
        return self.compared[-1] if self.compared else self.winner
