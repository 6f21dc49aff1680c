"""Candidates, and the search for their parameters."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from waterflow.config.schema.base import Section
from waterflow.config.schema.preprocessing import Block


class Dimension(Section):
    """The values of one parameter: a range, or choices. A range is one of numbers."""

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
    """How a candidate is tuned: by TPE or a grid.

    `trials` bounds their number: 20 by default for TPE, all points for a grid. No trial begins after the time budget.
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
    """A pipeline's bounds on tuning. With 0 trials, parameters stay as they are."""

    trials: Annotated[int, Field(ge=0)] | None = None
    time_budget_seconds: Annotated[float, Field(gt=0)] | None = None


class CandidateConfig(Section):
    """An estimator by its dotted path, with its parameters.

    It has the scikit-learn API. `search` says how `params` are tuned under a strategy that tunes;
    `early_stopping_rounds` ends boosting once the validation rows stop improving; `preprocessing` replaces the
    pipeline's for this candidate. `reads` declares what the estimator reads beside its rows, so that a change there
    fits it again: files or folders relative to the project, and environment variables written as `$NAME`.
    """

    estimator: str
    params: dict[str, Any] = Field(default_factory=dict)
    search: SearchConfig | None = None
    early_stopping_rounds: Annotated[int, Field(ge=1)] | None = None
    preprocessing: tuple[Block, ...] | None = None
    reads: tuple[str, ...] = ()
