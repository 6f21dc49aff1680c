"""Preprocessing, as blocks of columns that are treated alike."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from waterflow.config.schema.base import Section


class Selector(Section):
    """The columns of a block. They are selected by exact names, by type or by a regular expression."""

    names: tuple[str, ...] | None = None
    type: Literal["numeric", "categorical", "datetime"] | None = None
    pattern: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if sum(value is not None for value in (self.names, self.type, self.pattern)) != 1:
            raise ValueError("give exactly one of names, type, pattern")
        return self


class Clip(Section):
    """Bounds learned from training rows. Either two quantiles, or interquartile ranges beyond the quartiles."""

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
    """TF-IDF weights of a text's terms. `ngrams` are the shortest and longest run of words."""

    max_features: Annotated[int, Field(ge=1)] | None = 20_000
    ngrams: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 2)
    min_rows: Annotated[int, Field(ge=1)] = 2
    sublinear: bool = True


DatePart = Literal["year", "quarter", "month", "day", "day_of_week", "day_of_year", "hour", "minute", "is_weekend"]


class Block(Section):
    """Preprocessing of some columns.

    The order is clip, impute, encode, scale. A column belongs to the first block that selects it. Times are split into
    parts before gaps are imputed. `encode: category` keeps categories for estimators that support them; `drop` removes
    the columns. `transformer` is the dotted path of a class with scikit-learn's API, built with `params`, in place of
    all that.
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
    transformer: str | None = None
    params: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.drop and (self.impute or self.clip or self.encode or self.scale):
            raise ValueError("drop takes the columns away; leave the other keys out")
        if self.transformer and (self.drop or self.impute or self.clip or self.encode or self.scale):
            raise ValueError("transformer does all that is done to its columns; leave the other keys out")
        if self.params and not self.transformer:
            raise ValueError("params goes with transformer")
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
