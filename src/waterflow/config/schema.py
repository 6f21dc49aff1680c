"""The validated configuration of a pipeline: frozen, and with no key that nobody reads.

Credentials and addresses of servers have no place here; they belong to `profile.py`. This object is
stored with every run and its sections enter the digests that decide what must be computed again.
"""

from datetime import date
from typing import Annotated, Any, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from waterflow.config.catalog import METRICS, Task, metrics_of

USUALLY_SHOWN: dict[Task, tuple[str, ...]] = {
    "classification": ("accuracy", "f1_macro", "roc_auc"),
    "regression": ("mae", "rmse", "r2"),
}
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: immutable, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CsvSource(Section):
    """A CSV file with a header, read by pandas; `path` is relative to the project."""

    kind: Literal["csv"]
    path: str
    separator: str = ","


class ParquetSource(Section):
    """A Parquet file; `path` is relative to the project."""

    kind: Literal["parquet"]
    path: str


class PackageSource(Section):
    """A data set that a Python package carries, by the name of its loader in `waterflow.data.packaged`."""

    kind: Literal["package"]
    loader: str


Source = Annotated[CsvSource | ParquetSource | PackageSource, Field(discriminator="kind")]


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
    type: Literal["numeric", "categorical"] | None = None
    pattern: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(value is not None for value in (self.names, self.type, self.pattern)) != 1:
            raise ValueError("give exactly one of names, type, pattern")
        return self


class Block(Section):
    """Preprocessing for some columns, in this order: impute, encode, scale. The first match takes a column."""

    select: Selector
    impute: Literal["mean", "median", "most_frequent"] | None = None
    encode: Literal["onehot", "ordinal"] | None = None
    scale: Literal["standard", "minmax", "robust"] | None = None


DEFAULT_PREPROCESSING = (
    Block(select=Selector(type="numeric"), impute="median", scale="standard"),
    Block(select=Selector(type="categorical"), impute="most_frequent", encode="onehot"),
)


class CandidateConfig(Section):
    """An estimator with the scikit-learn API, by its dotted path, and its constructor's parameters."""

    estimator: str
    params: dict[str, Any] = Field(default_factory=dict)


class StrategyConfig(Section):
    """How candidates are selected. The share of the holdout belongs to the pipeline, not to a strategy."""

    name: str
    select_on: Literal["validation", "test"]
    validation_fraction: Fraction | None = None
    promotable: bool

    @model_validator(mode="after")
    def _validation_rows(self) -> Self:
        if (self.select_on == "validation") != (self.validation_fraction is not None):
            raise ValueError("validation_fraction goes with select_on: validation, and only with it")
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


class ScheduleConfig(Section):
    """A cron line; each interval `[start, end)` between two ticks is one run's window."""

    cron: str
    start: date
    timezone: str = "UTC"

    @model_validator(mode="after")
    def _readable(self) -> Self:
        from croniter import croniter  # the reader that Airflow uses

        if not croniter.is_valid(self.cron):
            raise ValueError(f"cron: {self.cron!r} is no cron line; write it like '0 3 * * 1'")
        if self.timezone not in available_timezones():
            raise ValueError(f"timezone: {self.timezone!r} is unknown; write it like UTC or Europe/Berlin")
        return self


class PipelineConfig(Section):
    """One pipeline, as composed from `conf/pipeline/NAME.yaml`, its groups and any overrides."""

    name: str
    description: str = ""
    owner: str = "waterflow"
    tags: tuple[str, ...] = ()
    schedule: ScheduleConfig | None = None

    dataset: Source
    target: str
    task: Task
    features: tuple[str, ...] | None = None
    drop: tuple[str, ...] = ()
    key: tuple[str, ...] = ()
    group: str | None = None
    time_column: str | None = None
    split: SplitConfig = SplitConfig()

    preprocessing: tuple[Block, ...] = DEFAULT_PREPROCESSING
    candidates: dict[str, CandidateConfig] = Field(min_length=1)
    strategy: StrategyConfig
    metrics: MetricsConfig
    gate: GateConfig | None = None
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
        return self

    @property
    def split_kind(self) -> Literal["hash", "time", "stratified"]:
        """The kind of split: as declared, else by time where rows are dated, else by hash."""
        return self.split.kind or ("time" if self.time_column else "hash")

    @property
    def shown_metrics(self) -> tuple[str, ...]:
        """The metrics of tables: the declared ones with the main one first, else the usual ones of the task."""
        chosen = self.metrics.show or USUALLY_SHOWN[self.task]
        return (self.metrics.main, *(name for name in chosen if name != self.metrics.main))

    def data_section(self) -> dict[str, Any]:
        """Give what decides the prepared rows and their split: the part that keys `prepare`."""
        section = self.model_dump(
            mode="json",
            include={"dataset", "target", "task", "features", "drop", "key", "group", "time_column", "split"},
        )
        return section | {"validation_fraction": self.strategy.validation_fraction}

    def train_section(self, candidate: str) -> dict[str, Any]:
        """Give what decides one fitted candidate: the part that keys `train`."""
        section = self.model_dump(
            mode="json",
            include={
                "target",
                "task",
                "features",
                "drop",
                "key",
                "group",
                "time_column",
                "preprocessing",
                "seed",
            },
        )
        return section | {
            "candidate": self.candidates[candidate].model_dump(mode="json"),
            "select_on": self.strategy.select_on,
        }
