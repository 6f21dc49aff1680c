"""The contract that the rows of a window must fulfil."""

import re
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from waterflow.config.schema.base import Section

ContractType = Literal["integer", "number", "text", "boolean", "datetime"]


class ColumnContract(Section):
    """The rules for one column.

    `min` and `max` are inclusive, `values` lists all that may occur. `pattern` is a regular expression for the whole
    text. A null breaks `nullable: false` and no other rule.
    """

    type: ContractType | None = None
    nullable: bool = True
    min: float | date | None = None
    max: float | date | None = None
    values: tuple[Any, ...] | None = None
    pattern: str | None = None
    unique: bool = False

    @model_validator(mode="after")
    def _can_be_fulfilled(self) -> Self:
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
    """What the rows of a window must fulfil before training.

    `unique` lists sets of columns whose values together identify a row; `closed` refuses columns that are not listed.
    """

    columns: dict[str, ColumnContract] = Field(default_factory=dict)
    unique: tuple[tuple[str, ...], ...] = ()
    min_rows: Annotated[int, Field(ge=1)] | None = None
    closed: bool = False
