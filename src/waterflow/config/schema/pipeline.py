"""The whole configuration of a pipeline, and its sections. The sections key each step."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from waterflow.config.metrics import METRICS, Metric, Task, list_metrics
from waterflow.config.schedule import Schedule
from waterflow.config.schema.base import Duration, Fraction, Owner, Section, Tag, TimeZone
from waterflow.config.schema.candidates import CandidateConfig, SearchConfig, TuningConfig
from waterflow.config.schema.contract import ContractConfig
from waterflow.config.schema.metrics import (
    Calibration,
    CostsConfig,
    Decision,
    GateConfig,
    MetricsConfig,
    RecallDecision,
)
from waterflow.config.schema.preprocessing import DEFAULT_PREPROCESSING, Block
from waterflow.config.schema.promotion import (
    BASELINES,
    BEST_BASELINES,
    REFRESH_MARGIN,
    SHARES,
    EvidenceConfig,
    PromotionConfig,
    StrategyConfig,
)
from waterflow.config.schema.score import ScoreConfig
from waterflow.config.schema.serving import ServingConfig
from waterflow.config.schema.sources import Source
from waterflow.config.schema.split import Features, OwnFeatures, RowsConfig, SplitConfig, SplitKind, WindowConfig
from waterflow.config.schema.target import Target, TaskName

USUALLY_SHOWN: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy", "f1_macro", "roc_auc"),
    "regression": ("mae", "rmse", "r2"),
}
NEEDS_COSTS = "needs costs, such as `costs: {false_alarm: 1, miss: 5}`"
ROWS_KEYS = {"target", "task", "features", "drop", "known_after", "key", "group", "time_column", "weight"}


class PipelineConfig(Section):
    """A pipeline, composed from `conf/pipeline/NAME.yaml`, its groups and overrides."""

    name: str
    scenario: str | None = None
    description: str = ""
    owner: Owner = "waterflow"
    tags: tuple[Tag, ...] = ()
    schedule: Schedule | None = None

    dataset: Source
    rows: RowsConfig = RowsConfig()
    target: Target
    target_nulls: Literal["refuse", "drop"] = "refuse"
    task: TaskName
    features: Features | None = None
    drop: tuple[str, ...] = ()
    known_after: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    group: str | None = None
    weight: str | None = None
    time_column: str | None = None
    time_zone: TimeZone | None = None
    label_delay: Duration | None = None
    window: WindowConfig = WindowConfig()
    sample: Fraction | None = None
    split: SplitConfig = SplitConfig()
    contract: ContractConfig | None = None

    preprocessing: tuple[Block, ...] = DEFAULT_PREPROCESSING
    candidates: dict[str, CandidateConfig] = Field(min_length=1)
    strategy: StrategyConfig
    tuning: TuningConfig = TuningConfig()
    metrics: MetricsConfig
    positive: Any = None
    costs: CostsConfig | None = None
    decision: Decision | None = None
    calibration: Calibration | None = None
    gate: GateConfig | None = None
    promotion: PromotionConfig = PromotionConfig()
    serving: ServingConfig = ServingConfig()
    score: ScoreConfig | None = None
    intended_use: str = ""
    seed: Annotated[int, Field(ge=0)] = 0

    @field_validator("candidates")
    @classmethod
    def _plain_names(cls, candidates: dict[str, CandidateConfig]) -> dict[str, CandidateConfig]:
        for name in candidates:
            if not name.isidentifier():
                raise ValueError(f"{name!r} is no name for a candidate; letters, digits and _ only")
        return candidates

    @model_validator(mode="after")
    def _metrics_of_the_task(self) -> Self:
        used = [("metrics.main", self.metrics.main), *(("metrics.show", name) for name in self.metrics.show)]
        for place, name in [*used, *([("gate.metric", self.gate.metric)] if self.gate else [])]:
            if name not in self.metrics.own and (name not in METRICS or METRICS[name].task != self.task):
                valid = list_metrics(name, self.task, self.metrics.own)
                raise ValueError(f"{place}: {name!r} is no metric for {self.task}; {valid}")
            if name == "expected_cost" and self.costs is None:
                raise ValueError(f"{place}: {name!r} {NEEDS_COSTS}")
        if self.task == "regression":
            for name, own in self.metrics.own.items():
                if own.needs == "probabilities":
                    raise ValueError(f"metrics.own.{name}.needs: 'probabilities' are of classes; task is regression")
        return self

    @model_validator(mode="after")
    def _types_agree(self) -> Self:
        declared = {} if self.contract is None else {name: rules.type for name, rules in self.contract.columns.items()}
        for name, kind in getattr(self.dataset, "dtype", {}).items():
            if declared.get(name) not in (None, kind):
                raise ValueError(f"dataset.dtype.{name}: {kind!r}, but the contract says {declared[name]!r}; keep one")
        return self

    @model_validator(mode="after")
    def _split_has_what_it_needs(self) -> Self:
        if self.split.kind == "time" and self.time_column is None:
            raise ValueError("split.kind: 'time' needs time_column, the column that dates a row")
        if self.promotion.serve == "all" and self.split_kind != "time":
            raise ValueError(
                f"promotion.serve: 'all' goes with split.kind: time; under {self.split_kind!r} the holdout never trains"
            )
        if self.group is not None and self.split_kind != "hash":
            raise ValueError(f"group: {self.group!r} goes with split.kind: hash, not {self.split_kind!r}")
        dated = {
            "time_zone": self.time_zone,
            "label_delay": self.label_delay,
            "promotion.dependence.time": self.promotion.dependence and self.promotion.dependence.time,
            "window": self.window != WindowConfig(),
        }
        for name, is_given in dated.items():
            if is_given and self.time_column is None:
                raise ValueError(f"{name}: it needs time_column, the column that dates a row")
        return self

    @model_validator(mode="after")
    def _decision_between_two_classes(self) -> Self:
        for name in ("positive", "costs", "decision", "calibration"):
            if getattr(self, name) is not None and self.task != "classification":
                raise ValueError(f"{name}: it is about a decision between two classes; task is regression")
        if self.decision == "costs" and self.costs is None:
            raise ValueError(f"decision: 'costs' {NEEDS_COSTS}")
        if self.costs and self.positive is not None and self.costs.positive not in (None, self.positive):
            raise ValueError(f"positive: {self.positive!r} differs from costs.positive {self.costs.positive!r}")
        return self

    @model_validator(mode="after")
    def _baseline_is_known(self) -> Self:
        valid = [*BASELINES[self.task], *self.candidates, "a function of your own, by its dotted path"]
        if self.promotion.baseline == "cheapest" and self.costs is None:
            raise ValueError(f"promotion.baseline: 'cheapest' {NEEDS_COSTS}")
        if self.promotion.baseline not in (None, *valid) and "." not in str(self.promotion.baseline):
            raise ValueError(
                f"promotion.baseline: {self.promotion.baseline!r} is neither a simple rule for {self.task} nor a "
                f"candidate of this run; valid: {', '.join(valid)}"
            )
        return self

    @property
    def main_metric(self) -> Metric:
        """The metric that decides."""
        return self.find_metric(self.metrics.main)

    def find_metric(self, name: str) -> Metric:
        """Return a metric of Waterflow's or of the user's own."""
        own = self.metrics.own.get(name)
        return METRICS[name] if own is None else Metric(name, self.task, own.greater_is_better)

    @property
    def named_features(self) -> tuple[str, ...] | None:
        """The declared raw columns of a model. None stands for all without another role."""
        return self.features.columns if isinstance(self.features, OwnFeatures) else self.features

    @property
    def baseline(self) -> str:
        """What a first model must beat."""
        return self.promotion.baseline or BEST_BASELINES.get(self.metrics.main, BASELINES[self.task][0])

    @property
    def declared_positive(self) -> Any:
        """The declared positive class of two. None stands for the greater one."""
        return self.positive if self.costs is None or self.costs.positive is None else self.costs.positive

    @property
    def decision_rule(self) -> Decision:
        """The declared decision. By default `costs` where they are declared, else 0.5."""
        return self.decision or ("costs" if self.costs else 0.5)

    @property
    def decision_in_words(self) -> str:
        """The decision rule and the calibration, such as `costs, sigmoid`."""
        rule = self.decision_rule
        words = f"recall_at_least {rule.recall_at_least}" if isinstance(rule, RecallDecision) else str(rule)
        return f"{words}, {self.calibration}" if self.calibration else words

    @property
    def has_decision(self) -> bool:
        """Whether the model decides otherwise than its estimator."""
        return self.task == "classification" and (self.decision_rule != 0.5 or self.calibration is not None)

    @property
    def refresh_margin(self) -> float | None:
        """By how much a refresh may be worse. None where that is not stated and the main metric has a unit."""
        return self.promotion.refresh_margin or (REFRESH_MARGIN if self.metrics.main in SHARES else None)

    @property
    def split_kind(self) -> SplitKind:
        """The declared kind of split. By default `time` for dated rows, else `hash`."""
        return self.split.kind or ("time" if self.time_column else "hash")

    @property
    def clock(self) -> str:
        """The time zone of naive times and calendar days. By default the schedule's, else UTC."""
        return self.time_zone or (self.schedule.timezone if self.schedule else "UTC")

    @property
    def serves(self) -> Literal["all", "judged"]:
        """Which model is registered. Fitted on all rows, where time splits them, or the compared one."""
        return self.promotion.serve or ("all" if self.split_kind == "time" else "judged")

    @property
    def shown_metrics(self) -> tuple[str, ...]:
        """The metrics of tables, the main one first. By default the usual ones of the task."""
        chosen = self.metrics.show or USUALLY_SHOWN[self.task]
        return (self.metrics.main, *(name for name in chosen if name != self.metrics.main))

    def preprocessing_of(self, candidate: str) -> tuple[Block, ...]:
        """Return a candidate's own preprocessing, else the pipeline's."""
        own = self.candidates[candidate].preprocessing
        return self.preprocessing if own is None else own

    def preprocessing_place(self, candidate: str) -> str:
        """Return where the YAML has a candidate's preprocessing."""
        is_own = self.candidates[candidate].preprocessing is not None
        return f"candidates.{candidate}.preprocessing" if is_own else "preprocessing"

    @property
    def evidence(self) -> EvidenceConfig:
        """The strategy's rules of evidence, overridden by the pipeline's."""
        own = self.promotion.model_dump(include=set(EvidenceConfig.model_fields), exclude_none=True)
        return self.strategy.evidence.model_copy(update=own)

    def search_of(self, candidate: str) -> SearchConfig | None:
        """Return a candidate's search within the pipeline's bounds. None without tuning."""
        search = self.candidates[candidate].search
        if search is None or not self.strategy.tune or self.tuning.trials == 0:
            return None
        bounds: dict[str, Any] = {}
        for name in ("trials", "time_budget_seconds"):
            given = [bound for bound in (getattr(search, name), getattr(self.tuning, name)) if bound is not None]
            bounds[name] = min(given, default=None)
        return search.model_copy(update=bounds)

    def data_section(self) -> dict[str, Any]:
        """Return what decides the prepared rows and their split. It keys `prepare`."""
        section = self.model_dump(
            mode="json", include=ROWS_KEYS | {"dataset", "sample", "split", "contract", "label_delay"}
        )
        own = {"validation_fraction": self.strategy.validation_fraction, "folds": self.strategy.folds}
        return section | own | {"time_zone": self.clock}

    def evaluate_section(self) -> dict[str, Any]:
        """Return what decides an evaluation beside models and rows. It keys `evaluate`."""
        section = self.model_dump(mode="json", include=ROWS_KEYS | {"metrics", "positive", "costs", "gate", "seed"})
        origins = {"origins"} if self.split_kind == "time" else set()
        return section | {
            "split_kind": self.split_kind,
            "strategy": self.strategy.model_dump(mode="json", include={"name", "select_on", "promotable"}),
            "evidence": self.evidence.model_dump(mode="json"),
            "promotion": self.promotion.model_dump(
                mode="json", include={"not_worse_on", "dependence", "reuse", "show", *origins}
            ),
            "is_refreshable": self.refresh_margin is not None,
            "baseline": self.baseline,
            "clock": self.clock,
        }

    def train_section(self, candidate: str) -> dict[str, Any]:
        """Return what decides one fitted candidate; it keys `train`."""
        own = {"seed", "positive", "costs", "decision", "calibration"}
        section = self.model_dump(mode="json", include=ROWS_KEYS | own)
        search, own_metric = self.search_of(candidate), self.metrics.own.get(self.metrics.main)
        chosen = self.candidates[candidate].model_dump(mode="json", exclude={"search", "preprocessing"})
        return section | {
            "candidate": chosen,
            "preprocessing": [block.model_dump(mode="json") for block in self.preprocessing_of(candidate)],
            "search": search and search.model_dump(mode="json"),
            # Only tuning depends on a score, that of the main metric.
            "main_metric": search and self.metrics.main,
            "own_metric": own_metric.model_dump() if search and own_metric else None,
            "select_on": self.strategy.select_on,
        }
