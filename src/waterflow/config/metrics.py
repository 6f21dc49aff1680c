"""The metrics of pipelines, with their task and direction."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from waterflow.config.suggestions import list_valid

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Metric:
    """A metric under its name in scikit-learn. It has values from `lowest` to `highest`."""

    name: str
    task: Task
    greater_is_better: bool
    lowest: float = -math.inf
    highest: float = math.inf

    def better(self, value: float, other: float) -> bool:
        """Return whether `value` is strictly better than `other`."""
        return value > other if self.greater_is_better else value < other


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "classification", greater_is_better=True, lowest=0, highest=1),
        Metric("balanced_accuracy", "classification", greater_is_better=True, lowest=0, highest=1),
        Metric("precision_macro", "classification", greater_is_better=True, lowest=0, highest=1),
        Metric("recall_macro", "classification", greater_is_better=True, lowest=0, highest=1),
        Metric("f1_macro", "classification", greater_is_better=True, lowest=0, highest=1),
        Metric("roc_auc", "classification", greater_is_better=True, lowest=0, highest=1),
        Metric("average_precision", "classification", greater_is_better=True, lowest=0, highest=1),
        Metric("log_loss", "classification", greater_is_better=False, lowest=0),
        # Of two classes, where the pipeline declares `costs`.
        Metric("expected_cost", "classification", greater_is_better=False),
        Metric("mae", "regression", greater_is_better=False, lowest=0),
        Metric("median_ae", "regression", greater_is_better=False, lowest=0),
        Metric("rmse", "regression", greater_is_better=False, lowest=0),
        Metric("r2", "regression", greater_is_better=True, highest=1),
    )
}


def metrics_of(task: Task) -> list[str]:
    """Return the names of a task's metrics, in display order."""
    return [metric.name for metric in METRICS.values() if metric.task == task]


def list_metrics(name: str, task: Task, own: Iterable[str] = ()) -> str:
    """List a task's metrics. The one probably meant comes first, such as `f1_macro` by `f1`."""
    valid = [*metrics_of(task), *own]
    meant = next((metric for metric in valid if metric.startswith(f"{name}_")), name)
    return list_valid(meant, valid)
