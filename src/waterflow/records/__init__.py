"""The records that travel between steps, as JSON, through Airflow's XCom or through files.

They are small and frozen. Frames, splits, configurations and models travel as references: a `Blob`
names an object in the store by the sha256 of its bytes, a model id names a model in MLflow.
"""

from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

Part = Literal["train", "validation", "test"]
ScoredOn = Literal["validation", "folds", "test"]
Rule = Literal["at_least", "at_most"]
DecisionKind = Literal["promote", "refresh", "canary", "hold", "reject", "rollback", "manual"]


class Record(BaseModel):
    """A frozen object that turns into JSON and back without loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """Give plain JSON types: what XCom and record files hold."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> Self:
        """Read what `to_json` gave; raises pydantic's ValidationError on anything else."""
        return cls.model_validate(payload)


class Window(Record):
    """The half-open time range `[start, end)` of the rows that a run may see; None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None

    @field_validator("start", "end")
    @classmethod
    def _in_utc(cls, moment: datetime | None) -> datetime | None:
        if moment is None:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    def __str__(self) -> str:
        """Show the range the way documentation writes it: `[2013-01-01, 2013-02-01)`."""
        return f"[{_moment(self.start)}, {_moment(self.end)})"


class Blob(Record):
    """An object in the store: `digest` is the sha256 of its bytes in hexadecimal."""

    key: str
    digest: str
    size_bytes: int


class Origin(Record):
    """What started a run; `run_id` is Airflow's DAG run id, or one that the command line made.

    `clear_number` counts how often the DAG run was cleared: a retry keeps it, a deliberate repetition raises it.
    """

    runner: Literal["airflow", "cli", "step"]
    run_id: str
    dag_id: str | None = None
    try_number: int = 1
    clear_number: int = 0
    map_index: int | None = None


class RunRequest(Record):
    """What a person or a schedule asks for.

    `strategy` and `candidates` replace those of the pipeline's YAML, `scenario` lays a file of `conf/scenario/`
    over it; all are names only.
    `overrides` are Hydra's, from the command line; Airflow never sends any. `force` asks to fit and judge anew what
    an earlier run has done.
    """

    pipeline: str
    origin: Origin
    window: Window | None = None
    strategy: str | None = None
    scenario: str | None = None
    candidates: tuple[str, ...] | None = None
    overrides: tuple[str, ...] = ()
    force: bool = False


class Share(Record):
    """How many rows one part of the split holds, for classification by class too."""

    part: Part
    rows: int
    by_class: dict[str, int] = Field(default_factory=dict)


class DividedBlob(Record):
    """The stored split of some rows: `leak` names features that alone reveal the target, empty where none does."""

    split: Blob
    shares: tuple[Share, ...]
    leak: str = ""


class Prepared(Record):
    """What `prepare` made: the rows, their split and the composed configuration, each by digest.

    `read_at` is the moment in UTC at which the source was read.
    """

    pipeline: str
    origin: Origin
    action_key: str
    experiment_id: str
    parent_run_id: str
    config: Blob
    data: Blob
    split: Blob
    window: Window | None
    read_at: datetime
    rows: int
    shares: tuple[Share, ...]
    candidates: tuple[str, ...]
    force: bool = False


class DecisionRule(Record):
    """How a two-class model decides: constants chosen from out-of-sample predictions.

    A row is called `positive` if its probability of it reaches `threshold`. `slope`, `intercept` and `knots` calibrate
    that probability; by default they leave it unchanged. `positive_rate` is the share of those predictions that are
    called positive.
    """

    positive: Any
    threshold: float
    positive_rate: float
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    @property
    def is_calibrated(self) -> bool:
        """Whether probabilities are mapped at all."""
        return bool(self.knots) or (self.slope, self.intercept) != (1.0, 0.0)


class FitChoices(Record):
    """What selection chose for a candidate; a later fit on other rows keeps it.

    `params` are the estimator's parameters on top of the YAML's, `rounds` those of boosting where it was stopped early,
    `decision` calibration and threshold.
    """

    params: dict[str, Any] = Field(default_factory=dict)
    rounds: int | None = None
    decision: DecisionRule | None = None

    @property
    def params_with_rounds(self) -> dict[str, Any]:
        """The parameters of a fit that nothing stops early."""
        return self.params | ({"n_estimators": self.rounds} if self.rounds else {})


class Trained(Record):
    """One fitted candidate: its MLflow run and model, and the scores that selection may look at.

    `metrics` leaves out those per class, which MLflow has. Scored on folds they are means over them, and `spread`
    holds their standard deviations. `tuned` holds the parameters that a search chose, `trials` how many it took.
    `choices` are what a fit takes on top of the YAML. `threads` is how many it had.
    `cached_from` is the MLflow run whose fit this is, where nothing was fitted.
    """

    candidate: str
    action_key: str
    run_id: str
    model_id: str
    scored_on: ScoredOn
    metrics: dict[str, float]
    spread: dict[str, float] = Field(default_factory=dict)
    tuned: dict[str, Any] = Field(default_factory=dict)
    trials: int = 0
    choices: FitChoices = FitChoices()
    threads: int = 0
    fit_seconds: float
    cached_from: str | None = None

    @property
    def fit_params(self) -> dict[str, Any]:
        """The parameters that this fit took on top of the YAML's; validation rows stop it by themselves."""
        return self.choices.params if self.scored_on == "validation" else self.choices.params_with_rounds

    @property
    def where(self) -> str:
        """What the scores were measured on, in words that follow `candidates`."""
        return {
            "validation": "on the validation rows",
            "folds": "by their mean over the folds",
            "test": "on the test rows (exploratory)",
        }[self.scored_on]


class GateResult(Record):
    """Whether the winner passed the gate of the pipeline's YAML, and on what numbers."""

    metric: str
    value: float | None
    threshold: float
    rule: Rule
    passed: bool
    reason: str


class SliceResult(Record):
    """The same comparison on the rows with one value of a column; `worse` says that the model is shown to be worse.

    Where nothing was compared, `note` says why: too few rows, or a metric without a value there.
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
    """One metric of both models on the compared rows, and their difference, each with its interval.

    `difference` is oriented and the intervals are of the verdict's confidence.
    """

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


class Verdict(Record):
    """Whether one model is better than another on the same rows, with all numbers behind it.

    `difference` is oriented: positive means that the challenger is better, whichever way the metric goes; `low` and
    `high` bound it at confidence `1 - 2·alpha`. `p_value` is one-sided. `smallest_detectable` is the difference that
    this holdout would have shown in four of five cases. `against` names the champion's version or the baseline;
    `disjoint` says that the champion is known not to have been fitted on these rows. `effective_rows` independent rows
    would tell as much; `clusters` says which rows were drawn together, `warnings` what weakens the verdict.
    """

    outcome: Literal["promote", "hold", "insufficient evidence"]
    reason: str
    metric: str
    against: str
    champion_version: int | None = None
    rows: int
    effective_rows: float | None = None
    clusters: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    excluded_rows: int = 0
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

    def numbers(self) -> dict[str, float]:
        """Return the numbers that were computed, by name."""
        names = ("difference", "low", "high", "p_value", "smallest_detectable", "effective_rows")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}


class Check(Record):
    """One line of the staging checks: what was asked, what was found, whether it holds."""

    name: str
    passed: bool
    found: str
    asked: str


class Approval(Record):
    """What became of the question whether a version may become champion: the answer, and whose it was."""

    approved: bool
    actor: str


class Decision(Record):
    """A row of the ledger: a decision on `version`, and the champion before and after.

    `promote` was won by being better, `refresh` by being no worse than a champion of the same recipe. `hold`, `reject`
    and `canary` leave the champion as it was; `manual` records an alias that something else moved. A number can name
    two models once a registered model was deleted: `model_id` and `model_digest`, the sha256 of its files, name one.
    `run_id` is the MLflow run that the decision is about, `actor` who or what made it. Times are in UTC; a decision is
    effective when it is made unless `effective_at` names another time.
    """

    model: str
    sequence: int
    kind: DecisionKind
    from_version: int | None
    to_version: int | None
    version: int | None
    reason: str
    actor: str
    run_id: str | None = None
    dag_run_id: str | None = None
    window: Window | None = None
    verdict: Verdict | None = None
    decided_at: datetime
    model_id: str | None = None
    model_digest: str | None = None
    effective_at: datetime | None = None

    @property
    def champion_since(self) -> datetime:
        """The time from which the decision counts."""
        return self.effective_at or self.decided_at


class Look(Record):
    """A row of the ledger of looks: an evaluation that shows how models do on held-out rows.

    `rows` holds the identities of the `row_count` rows that it compares on; `number` counts the looks at the most
    looked-at of them, this one included; `alpha` is what it may spend.
    """

    model: str
    sequence: int
    evaluation_key: str
    run_id: str
    rows: Blob
    row_count: int
    number: int
    alpha: float
    looked_at: datetime


class Evaluated(Record):
    """The survivors, best first, and what the best of them scored on the holdout.

    `action_key` names all that decided this evaluation. `cached_from` is the MLflow run that evaluated the same models
    before, where nothing was compared.
    """

    ranked: tuple[Trained, ...] = Field(min_length=1)
    missing: tuple[str, ...]
    main_metric: str
    exploratory: bool
    holdout_rows: int
    holdout_metrics: dict[str, float]
    gate: GateResult | None
    verdict: Verdict | None = None
    action_key: str = ""
    cached_from: str | None = None

    @property
    def winner(self) -> Trained:
        """The first of the ranked candidates."""
        return self.ranked[0]


class Registered(Record):
    """The one version that a run registered, with the aliases that it was given and what became of it.

    `checks` are those of staging; `awaits_approval` says that nothing but a person's answer stands between it and the
    champion's place. `decision` comes with the step `promote`. `new` is False when there was nothing to register or to
    decide: `version` is then the one that has this model.
    """

    model: str
    version: int
    aliases: tuple[str, ...]
    reason: str
    evaluated: Evaluated
    shown_metrics: tuple[str, ...]
    parent_run_id: str
    experiment_id: str
    checks: tuple[Check, ...] = ()
    awaits_approval: bool = False
    decision: Decision | None = None
    new: bool = True


class Action(Record):
    """What decided one step, so that two of them can be compared: equal keys mean equal work.

    `inputs` are digests and ids, `config` the step's own section with dotted keys and values as JSON, `code` the sha256
    of each module's source, `environment` lock, Python and platform. `subject` is the candidate of `train`.
    """

    step: str
    subject: str = ""
    inputs: dict[str, str]
    config: dict[str, str]
    code: dict[str, str]
    environment: dict[str, str]


class ExecutedAction(Record):
    """An action of one run; `cached_from` and `cached_at` name the earlier run whose result was used, if any.

    `misses` say why results of earlier runs were not used; `note` what else a reader should know.
    """

    action: Action
    key: str
    cached_from: str | None = None
    cached_at: datetime | None = None
    forced: bool = False
    misses: tuple[str, ...] = ()
    note: str = ""


def _moment(moment: datetime | None) -> str:
    if moment is None:
        return "…"
    return moment.date().isoformat() if moment.time() == moment.min.time() else moment.isoformat()
