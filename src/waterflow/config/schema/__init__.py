"""The validated configuration of a pipeline: frozen, and with no key that nobody reads.

Credentials and addresses of servers have no place here; they belong to `profile.py`. This object is
stored with every run and its sections enter the digests that decide what must be computed again.
"""

import re
from datetime import date
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from waterflow.config.metrics import METRICS, Task, metrics_of

USUALLY_SHOWN: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy", "f1_macro", "roc_auc"),
    "regression": ("mae", "rmse", "r2"),
}
Fraction = Annotated[float, Field(gt=0, lt=1)]
DURATION = re.compile(r"(\d+) (minute|hour|day|week|month|year)s?")


def _is_duration(text: str) -> str:
    if not DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write it like '36 hours' or '3 months'")
    return text


Duration = Annotated[str, AfterValidator(_is_duration)]


class Section(BaseModel):
    """A part of the configuration: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CsvSource(Section):
    """A CSV file with a header, read by pandas: a path relative to the project, `s3://…` or `https://…`."""

    kind: Literal["csv"]
    path: str
    separator: str = ","


class ParquetSource(Section):
    """A Parquet file: a path relative to the project, `s3://…` or `https://…`."""

    kind: Literal["parquet"]
    path: str


class SqlSource(Section):
    """The rows of a query, over a SQLAlchemy URL.

    `url` holds no password, for the configuration is stored with every run; `url_env` names an environment
    variable that holds the whole URL, or, with `_FILE` behind its name, the path of a file that does.
    """

    kind: Literal["sql"]
    query: str
    url: str | None = None
    url_env: str | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give exactly one of url, url_env")
        if self.url and re.search(r"://[^:/@]*:.+@|[?&]\w*pass\w*=", self.url):
            raise ValueError(
                "url: it holds a password, and this file is stored with every run; "
                "put the URL into an environment variable and name that by url_env"
            )
        return self


class PackageSource(Section):
    """A data set that a package carries, by the name of its loader in `waterflow.datasets.loaders`."""

    kind: Literal["package"]
    loader: str


class DvcSource(Section):
    """A CSV or Parquet file that DVC tracks, by its path in the repository, at a git revision.

    `repo` is the repository's folder, relative to the project, or its address; the project's own unless given.
    Without `rev` the workspace is read.
    """

    kind: Literal["dvc"]
    path: str
    rev: str | None = None
    repo: str | None = None
    separator: str = ","

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        if not re.search(r"\.(parquet|csv(\.\w+)?)$", self.path):
            raise ValueError(f"path: {self.path!r} ends neither in .csv nor in .parquet")
        if self.repo and re.search(r"://[^:/@]*:.+@", self.repo):
            raise ValueError("repo: it holds a password, and this file is stored with every run; let git keep it")
        if self.repo and "://" in self.repo and self.rev is None:
            raise ValueError("rev: a repository elsewhere has no workspace to read; name a commit, tag or branch")
        return self


Source = Annotated[CsvSource | ParquetSource | SqlSource | PackageSource | DvcSource, Field(discriminator="kind")]


class WindowConfig(Section):
    """Where a run's window starts, when nobody states it: at a day, or a look-back before its end."""

    kind: Literal["expanding", "sliding"] = "expanding"
    start: date | None = None
    lookback: Duration | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "sliding" and (self.lookback is None or self.start is not None):
            raise ValueError("kind: sliding needs lookback, such as '3 months', and takes no start")
        if self.kind == "expanding" and self.lookback is not None:
            raise ValueError("lookback goes with kind: sliding")
        return self


class ColumnContract(Section):
    """What one column must hold; `min` and `max` are inclusive, `values` are all that may occur.

    `pattern` is a regular expression for the whole of a text. A null breaks `nullable: false` and no other rule.
    """

    type: Literal["integer", "number", "text", "boolean", "datetime"] | None = None
    nullable: bool = True
    min: float | date | None = None
    max: float | date | None = None
    values: tuple[Any, ...] | None = None
    pattern: str | None = None
    unique: bool = False

    @model_validator(mode="after")
    def _can_be_held(self) -> Self:
        if isinstance(self.min, date) != isinstance(self.max, date) and None not in (self.min, self.max):
            raise ValueError(f"min {self.min} and max {self.max}: give two numbers or two dates")
        if self.min is not None and self.max is not None and self.min > self.max:  # type: ignore[operator]
            raise ValueError(f"min {self.min} lies above max {self.max}")
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"pattern: {self.pattern!r} is no regular expression ({error})") from error
        return self


class ContractConfig(Section):
    """What the rows of a window must be like, or nothing is trained on them.

    `unique` lists sets of columns whose values together name a row; `closed` refuses columns that are not listed.
    """

    columns: dict[str, ColumnContract] = Field(default_factory=dict)
    unique: tuple[tuple[str, ...], ...] = ()
    min_rows: Annotated[int, Field(ge=1)] | None = None
    closed: bool = False


class SplitConfig(Section):
    """How rows are held out.

    `hash` decides by the row's `key` columns (or by all its values, or by its group), so that a row
    stays held out as data grows; `time` holds out the window's latest rows; `stratified` is exact and
    seeded, for a small data set that does not change.
    """

    kind: Literal["hash", "time", "stratified"] | None = None
    test_fraction: Fraction = 0.2
    seed: Annotated[int, Field(ge=0)] = 0


class Selector(Section):
    """Which columns a block applies to: by exact names, by type or by a regular expression."""

    names: tuple[str, ...] | None = None
    type: Literal["numeric", "categorical", "datetime"] | None = None
    pattern: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(value is not None for value in (self.names, self.type, self.pattern)) != 1:
            raise ValueError("give exactly one of names, type, pattern")
        return self


class Clip(Section):
    """Bounds learnt from the training rows: two quantiles, or so many interquartile ranges beyond the quartiles."""

    quantiles: tuple[Annotated[float, Field(ge=0, le=1)], Annotated[float, Field(ge=0, le=1)]] | None = None
    iqr: Annotated[float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.quantiles is None) == (self.iqr is None):
            raise ValueError("give exactly one of quantiles, iqr")
        if self.quantiles is not None and self.quantiles[0] >= self.quantiles[1]:
            raise ValueError("quantiles: the first must lie below the second")
        return self


class Tfidf(Section):
    """Terms of a text, weighted by TF-IDF; `ngrams` are the shortest and the longest run of words."""

    max_features: Annotated[int, Field(ge=1)] | None = 20_000
    ngrams: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 2)
    min_rows: Annotated[int, Field(ge=1)] = 2
    sublinear: bool = True


DatePart = Literal["year", "quarter", "month", "day", "day_of_week", "day_of_year", "hour", "minute", "is_weekend"]


class Block(Section):
    """Preprocessing for some columns, in this order: clip, impute, encode, scale. The first match takes a column.

    Times are taken into parts first, and gaps among those filled.
    `encode: category` keeps categories as such, for estimators that know them; `drop` takes columns away.
    """

    select: Selector
    drop: bool = False
    impute: Literal["mean", "median", "most_frequent", "missing"] | None = None
    indicator: bool = False
    clip: Clip | None = None
    encode: Literal["onehot", "ordinal", "target", "category", "dates", "tfidf"] | None = None
    min_frequency: Annotated[int, Field(ge=1)] | None = None
    dates: tuple[DatePart, ...] = ("month", "day_of_week", "hour")
    tfidf: Tfidf = Tfidf()
    scale: Literal["standard", "minmax", "robust"] | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.drop and (self.impute or self.clip or self.encode or self.scale):
            raise ValueError("drop takes the columns away; leave the other keys out")
        if self.indicator and self.impute is None:
            raise ValueError("indicator goes with impute")
        if self.min_frequency is not None and self.encode not in ("onehot", "ordinal"):
            raise ValueError("min_frequency goes with encode: onehot or ordinal")
        return self


DEFAULT_PREPROCESSING = (
    Block(select=Selector(type="numeric"), impute="median", scale="standard"),
    Block(select=Selector(type="datetime"), impute="median", encode="dates", scale="standard"),
    Block(select=Selector(type="categorical"), impute="most_frequent", encode="onehot"),
)


class Dimension(Section):
    """The values of one parameter: a range of numbers, or choices."""

    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        bounded = self.low is not None and self.high is not None
        if bounded == (self.choices is not None) or (self.low is None) != (self.high is None):
            raise ValueError("give low and high, or choices")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low {self.low} lies above high {self.high}")
        if self.log and (self.low is None or self.low <= 0 or self.step is not None):
            raise ValueError("log needs a low above 0, and takes no step")
        return self


class SearchConfig(Section):
    """How a candidate's parameters are looked for: by TPE within a number of trials and a time, or on a whole grid.

    `trials` bounds their number: TPE makes 20 unless told otherwise, a grid has all its points tried.
    """

    method: Literal["tpe", "grid"] = "tpe"
    trials: Annotated[int, Field(ge=1)] | None = None
    time_budget_seconds: Annotated[float, Field(gt=0)] | None = None
    pruning: bool = True
    space: dict[str, Dimension] = Field(min_length=1)

    @model_validator(mode="after")
    def _grid_has_points(self) -> Self:
        if self.method == "grid":
            for name, dimension in self.space.items():
                if dimension.choices is None and dimension.step is None:
                    raise ValueError(f"space.{name}: a grid needs choices, or low, high and step")
        return self


class TuningConfig(Section):
    """Bounds that a pipeline sets to what its models' files allow; 0 trials keep the parameters as they are."""

    trials: Annotated[int, Field(ge=0)] | None = None
    time_budget_seconds: Annotated[float, Field(gt=0)] | None = None


class CandidateConfig(Section):
    """An estimator with the scikit-learn API, by its dotted path, and its constructor's parameters.

    `search` says how `params` are tuned under a strategy that tunes; `early_stopping` lets boosting end where the
    validation rows gain no more; `preprocessing` takes the place of the pipeline's, for this candidate.
    """

    estimator: str
    params: dict[str, Any] = Field(default_factory=dict)
    search: SearchConfig | None = None
    early_stopping_rounds: Annotated[int, Field(ge=1)] | None = None
    preprocessing: tuple[Block, ...] | None = None


class EvidenceConfig(Section):
    """What counts as evidence that one model is better than another, on the main metric.

    `alpha` is the accepted probability of promoting a model that is no better; `min_gain` the smallest difference worth
    having, in the metric's unit; `resamples` how often the holdout is drawn again; fewer rows than `min_rows` decide
    nothing.
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    min_gain: Annotated[float, Field(ge=0)] = 0.0
    resamples: Annotated[int, Field(ge=200)] = 2000
    min_rows: Annotated[int, Field(ge=2)] = 30


class SliceConfig(Section):
    """A column by whose values the holdout is cut; on no slice may the new model be worse by more than `tolerance`."""

    column: str
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    min_rows: Annotated[int, Field(ge=2)] = 30


class StagingConfig(Section):
    """What a version must keep to when it is loaded as it would be served, in a fresh process.

    `tolerance` is the largest accepted difference between its predictions and those of training; `latency_p95_ms`
    the 95th percentile of the time for a batch of one row; `size_mb` that of its files, in 10⁶ bytes.
    """

    tolerance: Annotated[float, Field(ge=0)] = 1e-9
    latency_p95_ms: Annotated[float, Field(gt=0)] = 250.0
    size_mb: Annotated[float, Field(gt=0)] = 500.0


class PromotionConfig(Section):
    """How a model becomes champion. What is left out of the evidence comes from the strategy.

    `baseline` is what a first model must beat: `most_frequent`, `mean`, `median`, or the name of a candidate;
    left out, the most frequent class or the mean.
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)] | None = None
    min_gain: Annotated[float, Field(ge=0)] | None = None
    resamples: Annotated[int, Field(ge=200)] | None = None
    min_rows: Annotated[int, Field(ge=2)] | None = None
    not_worse_on: tuple[SliceConfig, ...] = ()
    baseline: str | None = None
    staging: StagingConfig = StagingConfig()
    approval: Literal["auto", "human"] = "auto"
    approval_timeout: Duration = "1 day"


class StrategyConfig(Section):
    """How candidates are tuned and selected. The share of the holdout belongs to the pipeline, not to a strategy."""

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


class MetricsConfig(Section):
    """`main` decides the selection; `show` is what tables print."""

    main: str
    show: tuple[str, ...] = ()


class GateConfig(Section):
    """The value of one metric on the holdout that a winner must reach to become champion."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of at_least, at_most")
        return self


class CostsConfig(Section):
    """What each outcome of a two-class decision costs per row, in one unit; a gain is a negative cost.

    `positive` is the class whose alarm is raised: the greater one unless given.
    """

    positive: Any = None
    false_alarm: float = 0.0
    miss: float = 0.0
    hit: float = 0.0
    correct_rejection: float = 0.0


class ScheduleConfig(Section):
    """A cron line; each interval between two ticks is one run, whose window ends with it.

    Intervals count from `start`; after `end` none is scheduled.
    """

    cron: str
    start: date
    end: date | None = None
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _readable(self) -> Self:
        from croniter import croniter  # the reader that Airflow uses

        if not croniter.is_valid(self.cron):
            raise ValueError(f"cron: {self.cron!r} is no cron line; write it like '0 3 * * 1'")
        if self.timezone not in available_timezones():
            raise ValueError(f"timezone: {self.timezone!r} is unknown; write it like UTC or Europe/Berlin")
        return self


BASELINES: dict[Task, tuple[str, ...]] = {"classification": ("most_frequent",), "regression": ("mean", "median")}
ROWS_KEYS = {"target", "task", "features", "drop", "known_after", "key", "group", "time_column"}


class PipelineConfig(Section):
    """One pipeline, as composed from `conf/pipeline/NAME.yaml`, its groups and any overrides."""

    name: str
    scenario: str | None = None
    description: str = ""
    owner: str = "waterflow"
    tags: tuple[str, ...] = ()
    schedule: ScheduleConfig | None = None

    dataset: Source
    target: str
    task: Task
    features: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    known_after: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    group: str | None = None
    time_column: str | None = None
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
    costs: CostsConfig | None = None
    gate: GateConfig | None = None
    promotion: PromotionConfig = PromotionConfig()
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
        for place, name in (
            ("metrics.main", self.metrics.main),
            *(("metrics.show", name) for name in self.metrics.show),
            *([("gate.metric", self.gate.metric)] if self.gate else []),
        ):
            if name not in METRICS or METRICS[name].task != self.task:
                raise ValueError(
                    f"{place}: {name!r} is no metric for {self.task}; valid: {', '.join(metrics_of(self.task))}"
                )
        return self

    @model_validator(mode="after")
    def _split_has_what_it_needs(self) -> Self:
        if self.split.kind == "time" and self.time_column is None:
            raise ValueError("split.kind: 'time' needs time_column, the column that dates a row")
        if self.group is not None and self.split_kind != "hash":
            raise ValueError(f"group: {self.group!r} goes with split.kind: hash, not {self.split_kind!r}")
        if self.time_column is None:
            for name, is_given in (("label_delay", self.label_delay), ("window", self.window != WindowConfig())):
                if is_given:
                    raise ValueError(f"{name}: it needs time_column, the column that dates a row")
        return self

    @model_validator(mode="after")
    def _costs_of_two_classes(self) -> Self:
        if self.costs is not None and self.task != "classification":
            raise ValueError("costs: they are of a decision between two classes; task is regression")
        used = (self.metrics.main, *self.metrics.show, *([self.gate.metric] if self.gate else []))
        if self.costs is None and "expected_cost" in used:
            raise ValueError("metrics: 'expected_cost' needs costs, such as `costs: {false_alarm: 1, miss: 5}`")
        return self

    @model_validator(mode="after")
    def _baseline_is_known(self) -> Self:
        valid = [*BASELINES[self.task], *self.candidates]
        if self.promotion.baseline not in (None, *valid):
            raise ValueError(
                f"promotion.baseline: {self.promotion.baseline!r} is neither a simple rule for {self.task} nor a "
                f"candidate of this run; valid: {', '.join(valid)}"
            )
        return self

    @property
    def baseline(self) -> str:
        """What a first model must beat."""
        return self.promotion.baseline or BASELINES[self.task][0]

    @property
    def split_kind(self) -> Literal["hash", "time", "stratified"]:
        """The kind of split: as declared, else by time where rows are dated, else by hash."""
        return self.split.kind or ("time" if self.time_column else "hash")

    @property
    def shown_metrics(self) -> tuple[str, ...]:
        """The metrics of tables: the declared ones with the main one first, else the usual ones of the task."""
        chosen = self.metrics.show or USUALLY_SHOWN[self.task]
        return (self.metrics.main, *(name for name in chosen if name != self.metrics.main))

    def preprocessing_of(self, candidate: str) -> tuple[Block, ...]:
        """Give the blocks of a candidate: its own where it has some, else the pipeline's."""
        own = self.candidates[candidate].preprocessing
        return self.preprocessing if own is None else own

    @property
    def evidence(self) -> EvidenceConfig:
        """What counts as evidence: the strategy's rules, with those that the pipeline states in their place."""
        own = self.promotion.model_dump(include=set(EvidenceConfig.model_fields), exclude_none=True)
        return self.strategy.evidence.model_copy(update=own)

    def search_of(self, candidate: str) -> SearchConfig | None:
        """Say how a candidate is tuned under this strategy, within the pipeline's bounds; None where it is not."""
        search = self.candidates[candidate].search
        if search is None or not self.strategy.tune or self.tuning.trials == 0:
            return None
        bounds: dict[str, Any] = {}
        for name in ("trials", "time_budget_seconds"):
            given = [bound for bound in (getattr(search, name), getattr(self.tuning, name)) if bound is not None]
            bounds[name] = min(given, default=None)
        return search.model_copy(update=bounds)

    def data_section(self) -> dict[str, Any]:
        """Give what decides the prepared rows and their split: the part that keys `prepare`."""
        section = self.model_dump(
            mode="json", include=ROWS_KEYS | {"dataset", "sample", "split", "contract", "label_delay"}
        )
        return section | {"validation_fraction": self.strategy.validation_fraction, "folds": self.strategy.folds}

    def evaluate_section(self) -> dict[str, Any]:
        """Give what decides how models are judged, beside the models and the rows: the part that keys `evaluate`."""
        section = self.model_dump(mode="json", include=ROWS_KEYS | {"metrics", "costs", "gate", "seed"})
        return section | {
            "split_kind": self.split_kind,
            "strategy": self.strategy.model_dump(mode="json", include={"name", "select_on", "promotable"}),
            "evidence": self.evidence.model_dump(mode="json"),
            "promotion": self.promotion.model_dump(mode="json", include={"not_worse_on"}) | {"baseline": self.baseline},
        }

    def train_section(self, candidate: str) -> dict[str, Any]:
        """Give what decides one fitted candidate: the part that keys `train`."""
        section = self.model_dump(mode="json", include=ROWS_KEYS | {"seed", "costs"})
        search = self.search_of(candidate)
        chosen = self.candidates[candidate].model_dump(mode="json", exclude={"search", "preprocessing"})
        return section | {
            "candidate": chosen,
            "preprocessing": [block.model_dump(mode="json") for block in self.preprocessing_of(candidate)],
            "search": search and search.model_dump(mode="json"),
            # Tuning aims at the main metric; without it no score decides anything in a fit.
            "main_metric": search and self.metrics.main,
            "select_on": self.strategy.select_on,
        }
