"""Which rows a run sees, and which are held out."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from waterflow.config.schema.base import Duration, Fraction, Section

SplitKind = Literal["hash", "time", "stratified", "function"]


class RowsConfig(Section):
    """Which rows of the window count. `where` is an expression of pandas, such as `amount > 0 and country == "DE"`."""

    where: str | None = None


class WindowConfig(Section):
    """Where a run's window starts by default. It starts on a day, or a look-back before its end."""

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


class SplitConfig(Section):
    """How rows are held out.

    `hash` decides by the row's group, its `key`, or its features and target, so that a row stays held out as data
    grows; `time` holds out the latest rows of the window; `stratified` is exact and seeded, for a small data set that
    does not change; `function` is the dotted path of the user's own, which is called with the rows and returns for each
    whether it is held out.
    """

    kind: SplitKind | None = None
    test_fraction: Fraction = 0.2
    seed: Annotated[int, Field(ge=0)] = 0
    function: str | None = None

    @model_validator(mode="after")
    def _has_its_function(self) -> Self:
        if (self.kind == "function") != (self.function is not None):
            raise ValueError("function goes with kind: function, and only with it")
        return self


class OwnFeatures(Section):
    """Features that a function makes. Called as `function(rows)` with the raw `columns`, all by default.

    It returns a frame with a row for each row. It is the first step of the model, so that it serves as it trained.
    """

    function: str
    columns: tuple[str, ...] | None = None


def _form_of_features(given: object) -> str:
    return "[own]" if isinstance(given, dict | OwnFeatures) else "[listed]"


Features = Annotated[
    Annotated[tuple[str, ...], Tag("[listed]")] | Annotated[OwnFeatures, Tag("[own]")], Discriminator(_form_of_features)
]
