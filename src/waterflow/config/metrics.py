"""The metrics of pipelines, and their names per class."""

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from waterflow.config.suggestions import list_valid

COMPARISONS = {"<": "lt ", "<=": "le ", ">": "gt ", ">=": "ge "}
LOOKS_MADE = re.compile(r"(?:lt|le|gt|ge) |.*:[0-9a-f]{8}$", re.DOTALL)
LONGEST_NAME = 150  # of a class, in characters; MLflow accepts 250 for the whole name of a metric

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


def metric_name(label: Any) -> str:
    """Return a class as part of a metric's name. `<=50K` becomes `le 50K`.

    MLflow accepts letters, digits, spaces and few signs. A label that holds others, is very long or could be taken for
    a changed one is followed by a part of its sha256: equal names stand for equal labels, whatever other classes there
    are, so the label is found by naming the known ones.
    """
    text = str(label)
    plain = re.sub(r"^[<>]=?", lambda sign: COMPARISONS[sign[0]], text)
    name = " ".join(re.sub(r"[^\w .:-]", "_", plain).split())[:LONGEST_NAME] or "_"
    if name == plain and not LOOKS_MADE.match(text):
        return name
    return f"{name}:{hashlib.sha256(text.encode()).hexdigest()[:8]}"
