import pytest

from waterflow.config.metrics import METRICS
from waterflow.config.schema import GateConfig
from waterflow.evaluation.selection import check_gate, rank_candidates
from waterflow.records.training import Trained


def scored(name: str, **metrics: float) -> Trained:
    """Write the record of a candidate with these scores."""
    return Trained(
        candidate=name,
        action_key="k",
        run_id=name,
        model_id=name,
        scored_on="validation",
        metrics=metrics,
        fit_seconds=0.1,
    )


@pytest.mark.parametrize(("metric", "best"), [("accuracy", "b"), ("log_loss", "a")])
def test_the_best_by_the_main_metric_comes_first(metric: str, best: str) -> None:
    """More accuracy is better, less loss is."""
    entries = [scored("a", accuracy=0.8, log_loss=0.1), scored("b", accuracy=0.9, log_loss=0.2)]
    assert rank_candidates(entries, ["a", "b"], METRICS[metric])[0].candidate == best


def test_equals_stay_in_the_order_of_the_plan() -> None:
    """Which task happened to end first decides nothing."""
    entries = [scored("b", accuracy=0.9), scored("a", accuracy=0.9)]
    assert [entry.candidate for entry in rank_candidates(entries, ["a", "b"], METRICS["accuracy"])] == ["a", "b"]


@pytest.mark.parametrize(
    ("gate", "passed"),
    [
        ({"at_least": 0.8}, True),
        ({"at_least": 0.9}, True),
        ({"at_least": 0.91}, False),
        ({"at_most": 0.9}, True),
        ({"at_most": 0.89}, False),
    ],
)
def test_a_gate_lets_its_own_bound_through(gate: dict[str, float], passed: bool) -> None:
    """`at_least` and `at_most` include the bound."""
    result = check_gate(GateConfig(metric="accuracy", **gate), {"accuracy": 0.9})
    assert result.passed is passed


def test_a_missed_gate_says_metric_value_and_bound() -> None:
    """The reason can be shown as it is."""
    result = check_gate(GateConfig(metric="f1_macro", at_least=0.95), {"f1_macro": 0.9})
    assert result.reason == "f1_macro 0.9000 misses the gate: at least 0.95"


def test_an_undefined_metric_does_not_pass() -> None:
    """What cannot be measured is no evidence."""
    result = check_gate(GateConfig(metric="roc_auc", at_least=0.0), {"accuracy": 0.9})
    assert not result.passed
    assert result.value is None
    assert "is undefined" in result.reason
