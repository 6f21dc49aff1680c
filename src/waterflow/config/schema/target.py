"""What a pipeline predicts, and what it cannot."""

from typing import Annotated

from pydantic import BeforeValidator

from waterflow.config.metrics import Task

UNSUPPORTED = {
    "forecasting": "predict the value at a time as a regression: make lags in the source, name time_column, and "
    "state by label_delay how long after its time a row's value is known",
    "clustering": "nothing is compared without a truth: cluster in a transformer, and predict a target from it",
    "ranking": "predict the relevance as a regression, or the click as a classification",
    "multilabel": "write one pipeline for each label",
}
ALIASES = {
    "forecast": "forecasting",
    "timeseries": "forecasting",
    "time_series": "forecasting",
    "cluster": "clustering",
}


def _check_task(task: object) -> object:
    name = ALIASES.get(str(task), str(task))
    if name in UNSUPPORTED:
        raise ValueError(
            f"{task!r} is not supported; valid: classification, regression. Meanwhile, {UNSUPPORTED[name]}"
        )
    return task


def _check_target(target: object) -> object:
    if isinstance(target, list | tuple):
        names = ", ".join(map(str, target))
        reason = f"{len(target)} targets ({names}) are not supported"
        raise ValueError(f"{reason}; write a pipeline for each, and list the others in known_after")  # noqa: TRY004
    return target


TaskName = Annotated[Task, BeforeValidator(_check_task)]
Target = Annotated[str, BeforeValidator(_check_target)]
