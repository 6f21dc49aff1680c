"""Which candidate wins, and whether it passes the gate."""

from collections.abc import Mapping, Sequence

from waterflow.config.metrics import Metric
from waterflow.config.schema import GateConfig
from waterflow.records.evaluation import GateResult, Rule
from waterflow.records.training import Trained


def rank_candidates(trained: Sequence[Trained], planned: Sequence[str], metric: Metric) -> tuple[Trained, ...]:
    """Order candidates by a metric, best first. Equals stay in the order in which they were planned."""
    sign = -1 if metric.greater_is_better else 1
    return tuple(sorted(trained, key=lambda entry: (sign * entry.metrics[metric.name], planned.index(entry.candidate))))


def check_gate(gate: GateConfig, scores: Mapping[str, float]) -> GateResult:
    """Compare one metric on the holdout with its bound. The gate sets the bound; an undefined metric does not pass."""
    value = scores.get(gate.metric)
    rule: Rule = "at_least" if gate.at_least is not None else "at_most"
    bound = gate.at_least if gate.at_least is not None else gate.at_most
    assert bound is not None  # the configuration has exactly one of the two
    passed = value is not None and (value >= bound if rule == "at_least" else value <= bound)
    measured = "is undefined on these rows and" if value is None else f"{value:.4f}"
    reason = f"{gate.metric} {measured} {'reaches' if passed else 'misses'} the gate: {rule.replace('_', ' ')} {bound}"
    return GateResult(metric=gate.metric, value=value, threshold=bound, rule=rule, passed=passed, reason=reason)
