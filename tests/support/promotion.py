"""Runs up to the step promote, for its tests: real rows, models and versions, a verdict of one's choice."""

from typing import Any

from support.projects import request_of
from waterflow.promotion.registration import make_version
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated, Verdict
from waterflow.records.promotion import Check, Registered
from waterflow.resources import Resources, load_config
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.steps.train import train

PASSED = Check(name="predictions", passed=True, actual="30 rows, at most 0 apart", expected="as in training")
FAILED = Check(name="latency", passed=False, actual="p95 300.0 ms of CPU for a single row", expected="at most 250 ms")
VERDICT = Verdict(
    outcome="promote",
    reason="f1_macro is better by 0.1",
    metric="f1_macro",
    against="baseline most_frequent",
    rows=30,
    disjoint=True,
    challenger=0.9,
    champion=0.8,
    difference=0.1,
    low=0.02,
    high=0.18,
    p_value=0.01,
    alpha=0.05,
    min_gain=0.0,
    resamples=2000,
)


def evaluate_run(name: str, resources: Resources, run_id: str = "run_1", **request: Any) -> tuple[Prepared, Evaluated]:
    """Run the first three steps, whatever an earlier run has done."""
    prepared = prepare(request_of(name, run_id, **{"force": True, **request}), resources)
    trained = [train(prepared, candidate, prepared.origin, resources) for candidate in prepared.candidates]
    return prepared, evaluate(prepared, trained, resources)


def entered(
    name: str,
    resources: Resources,
    run_id: str = "run_1",
    verdict: Verdict = VERDICT,
    *,
    full: bool = False,
    **changes: Any,
) -> tuple[Prepared, Registered]:
    """Register a run's winner with this verdict, without the seconds that staging and, unless `full`, evaluate take.

    `window` goes to the request, other changes into the record of register.
    """
    request = {"window": changes.pop("window")} if "window" in changes else {}
    prepared, evaluated = (evaluate_run if full else fitted)(name, resources, run_id, **request)
    return prepared, enter(prepared, evaluated.model_copy(update={"verdict": verdict}), resources, **changes)


def fitted(name: str, resources: Resources, run_id: str = "run_1", **request: Any) -> tuple[Prepared, Evaluated]:
    """Run the first two steps on a pipeline of one candidate, always again, and leave the verdict open."""
    prepared = prepare(request_of(name, run_id, force=True, **request), resources)
    ranked = (train(prepared, prepared.candidates[0], prepared.origin, resources),)
    config = load_config(prepared, resources)
    return prepared, Evaluated(
        ranked=ranked,
        missing=(),
        main_metric=config.metrics.main,
        exploratory=not config.strategy.promotable,
        holdout_rows=0,
        holdout_metrics={},
        gate=None,
    )


def enter(prepared: Prepared, evaluated: Evaluated, resources: Resources, **changes: Any) -> Registered:
    """Register what was evaluate_run, as if its staging checks had passed."""
    config = load_config(prepared, resources)
    registered = Registered(
        model=config.name,
        version=make_version(prepared, evaluated, evaluated.challenger, config, resources),
        aliases=(),
        reason="",
        evaluated=evaluated,
        shown_metrics=config.shown_metrics,
        parent_run_id=prepared.parent_run_id,
        experiment_id=prepared.experiment_id,
        checks=(PASSED,),
    )
    return registered.model_copy(update=changes)


def champion_of(name: str, resources: Resources) -> int | None:
    """Return the version that the registry calls champion."""
    found = resources.registry.find_alias(name, "champion")
    return found.version if found else None


def kinds(name: str, resources: Resources) -> list[str]:
    """List the decisions of the ledger."""
    return [row.kind for row in resources.ledger.entries(name)]
