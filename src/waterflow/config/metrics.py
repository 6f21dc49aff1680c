"""The metrics of pipelines, with their task and direction."""

from dataclasses import dataclass
from typing import Literal

Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Metric:
    """A metric under its name in scikit-learn."""

    name: str
    task: Task
    greater_is_better: bool

    def better(self, value: float, other: float) -> bool:
        """Return whether `value` is strictly better than `other`."""
        return value > other if self.greater_is_better else value < other


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("accuracy", "classification", greater_is_better=True),
        Metric("balanced_accuracy", "classification", greater_is_better=True),
        Metric("precision_macro", "classification", greater_is_better=True),
        Metric("recall_macro", "classification", greater_is_better=True),
        Metric("f1_macro", "classification", greater_is_better=True),
        Metric("roc_auc", "classification", greater_is_better=True),
        Metric("average_precision", "classification", greater_is_better=True),
        Metric("log_loss", "classification", greater_is_better=False),
        # Of two classes, where the pipeline declares `costs`.
        Metric("expected_cost", "classification", greater_is_better=False),
        Metric("mae", "regression", greater_is_better=False),
        Metric("median_ae", "regression", greater_is_better=False),
        Metric("rmse", "regression", greater_is_better=False),
        Metric("r2", "regression", greater_is_better=True),
    )
}


def metrics_of(task: Task) -> list[str]:
    """Return the names of a task's metrics, in display order."""
    return [metric.name for metric in METRICS.values() if metric.task == task]
