"""Metrics, the gate, and the decisions of two-class models."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, model_validator

from waterflow.config.metrics import METRICS
from waterflow.config.schema.base import Section


class OwnMetric(Section):
    """A metric of the user's own. `function` is called as `function(truth, answers)`.

    It returns a number, or one for each row, whose mean is the metric. Answers are the predictions or, where it `needs`
    them, the probabilities: of the positive class of two, shape (rows,), else of each class, shape (rows, classes). A
    pipeline with `weight` passes `sample_weight` too.
    """

    function: str
    greater_is_better: bool
    needs: Literal["predictions", "probabilities"] = "predictions"


class MetricsConfig(Section):
    """`main` decides the selection; `show` lists what tables print. `own` defines further metrics by name."""

    main: str
    show: tuple[str, ...] = ()
    own: dict[str, OwnMetric] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _own_names(self) -> Self:
        for name in self.own:
            if not name.isidentifier() or name in METRICS:
                raise ValueError(
                    f"own: {name!r} is no name for a metric; letters, digits and _, and none of Waterflow's"
                )
        return self


class GateConfig(Section):
    """A bound on one metric on the holdout. A winner that misses it does not become champion."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of at_least, at_most")
        return self


class CostsConfig(Section):
    """The cost per row of each outcome of a decision.

    The decision is between two classes. A gain is negative. `positive` is the class that raises the alarm, by default
    the greater one or the pipeline's.
    """

    positive: Any = None
    false_alarm: float = 0.0
    miss: float = 0.0
    hit: float = 0.0
    correct_rejection: float = 0.0


class RecallDecision(Section):
    """As few alarms as possible at a given recall. This share of the positives must be found."""

    recall_at_least: Annotated[float, Field(gt=0, le=1)]


def _check_decision(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        raise ValueError(
            f"{value!r} is not valid; valid: costs, f1, balanced, {{recall_at_least: 0.9}}, or a threshold such as 0.5"
        ) from error


Decision = Annotated[
    Literal["costs", "f1", "balanced"] | RecallDecision | Annotated[float, Field(gt=0, lt=1)],
    WrapValidator(_check_decision),
]
Calibration = Literal["sigmoid", "isotonic"]
