"""Strategies, evidence and promotion."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from waterflow.config.metrics import Task
from waterflow.config.schedule import APPROVAL_TIMEOUT, Approval, check_approval_timeout
from waterflow.config.schema.base import Duration, Fraction, Section

BASELINES: dict[Task, tuple[str, ...]] = {
    "classification": ("most_frequent", "stratified", "cheapest"),
    "regression": ("mean", "median", "shortest_half"),
}
# What no rule that sees no feature does better by; where not listed, the first of the task.
BEST_BASELINES = {
    **dict.fromkeys(("balanced_accuracy", "precision_macro", "recall_macro", "f1_macro"), "stratified"),
    "expected_cost": "cheapest",
    "mae": "median",
    "median_ae": "shortest_half",
}


# What a refresh may be worse by, of metrics between 0 and 1; others have a unit, so their margin has to be stated.
REFRESH_MARGIN = 0.03
SHARES = (
    "accuracy",
    "balanced_accuracy",
    "precision_macro",
    "recall_macro",
    "f1_macro",
    "roc_auc",
    "average_precision",
)


class EvidenceConfig(Section):
    """What counts as evidence that one model is better.

    Models are compared by the main metric. `alpha` is the accepted probability of promoting a model that is no better;
    `min_gain` the smallest difference worth having, in the metric's unit; `resamples` the number of bootstrap samples
    of the holdout; with fewer rows than `min_rows` nothing is decided.
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    resamples: Annotated[int, Field(ge=200)] = 2000
    min_rows: Annotated[int, Field(ge=2)] = 30


class SliceConfig(Section):
    """A column of slices. On none of `min_rows` or more may the new model be worse by more than `tolerance`."""

    column: str
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    min_rows: Annotated[int, Field(ge=2)] = 30


class DependenceConfig(Section):
    """Which held-out rows resemble each other, and are drawn together.

    Those of one calendar unit `time` of the time column, `day` unless given, and those with the same value of a column
    in `by`; a pipeline's `group` is always one of these. Stated empty, it says that rows are independent.
    """

    time: Literal["hour", "day", "week", "month"] | None = None
    by: tuple[str, ...] = ()


class StagingConfig(Section):
    """The limits for a version in staging.

    It is loaded as it would be served, in a fresh process. `tolerance` is the largest accepted difference between its
    predictions and those of training; `latency_p95_ms` the 95th percentile of the time for a batch of one row;
    `size_mb` that of its files, in 10⁶ bytes. On rows that both were fitted on, a model that was fitted on more of them
    than the compared one must correlate with it in rank by at least `rank_correlation` and decide at least the share
    `equal_decisions` alike.
    """

    tolerance: Annotated[float, Field(ge=0)] = 1e-9
    latency_p95_ms: Annotated[float, Field(gt=0)] = 250.0
    size_mb: Annotated[float, Field(gt=0)] = 500.0
    rank_correlation: Annotated[float, Field(ge=-1, le=1)] = 0.5
    equal_decisions: Annotated[float, Field(ge=0, le=1)] = 0.8


class PromotionConfig(Section):
    """How a model becomes champion.

    Evidence settings left out here come from the strategy. `baseline` is what a first model must beat: a rule of
    `BASELINES` or the name of a candidate; by default the rule that scores best on the main metric without a feature.
    `dependence` states which rows resemble each other. With `reuse: spend` each verdict on the same held-out rows may
    spend less of `alpha`; `show: verdict` shows nothing of these rows but the outcome. `origins` is the number of
    blocks in time of a dated holdout, each predicted by a fit on everything before it. `serve` says which model of a
    dated pipeline is registered: one fitted on `all` rows of the window, the default, or the last one that was compared
    (`judged`). A run of the champion's own recipe need only be not worse by `refresh_margin`.
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    min_gain: Annotated[float, Field(ge=0)] | None = None
    resamples: Annotated[int, Field(ge=200)] | None = None
    min_rows: Annotated[int, Field(ge=2)] | None = None
    not_worse_on: tuple[SliceConfig, ...] = ()
    refresh_margin: Annotated[float, Field(gt=0)] | None = None
    baseline: str | None = None
    dependence: DependenceConfig | None = None
    origins: Annotated[int, Field(ge=1, le=50)] = 4
    serve: Literal["all", "judged"] | None = None
    staging: StagingConfig = StagingConfig()
    reuse: Literal["spend", "ignore"] = "spend"
    show: Literal["numbers", "verdict"] = "numbers"
    approval: Approval = "auto"
    approval_timeout: Duration = APPROVAL_TIMEOUT

    @field_validator("approval_timeout")
    @classmethod
    def _leaves_time(cls, duration: str) -> str:
        check_approval_timeout(duration)
        return duration


class StrategyConfig(Section):
    """How candidates are tuned and selected. The holdout's share belongs to the pipeline."""

    name: str
    select_on: Literal["validation", "folds", "test"]
    validation_fraction: Fraction | None = None
    folds: Annotated[int, Field(ge=2)] | None = None
    tune: bool = False
    promotable: bool
    evidence: EvidenceConfig = EvidenceConfig()

    @model_validator(mode="after")
    def _rows_to_select_on(self) -> Self:
        if (self.select_on == "validation") != (self.validation_fraction is not None):
            raise ValueError("validation_fraction goes with select_on: validation, and only with it")
        if (self.select_on == "folds") != (self.folds is not None):
            raise ValueError("folds goes with select_on: folds, and only with it")
        if self.select_on == "test" and (self.tune or self.promotable):
            raise ValueError("select_on: test looks at the holdout, so it can neither tune nor promote")
        return self
