from collections.abc import Callable
from datetime import datetime

import pandas as pd
from support import request_of, write_rows

from waterflow import workflow
from waterflow.data.packaged import iris
from waterflow.records import Evaluated, Prepared, Registered, Window
from waterflow.steps.evaluate import evaluate
from waterflow.steps.prepare import prepare
from waterflow.steps.register import register
from waterflow.steps.tools import Tools
from waterflow.steps.train import train

Writer = Callable[..., str]


def judged(name: str, tools: Tools, run_id: str = "run_1") -> tuple[Prepared, Evaluated]:
    """Run all steps but the last one."""
    prepared = prepare(request_of(name, run_id), tools)
    trained = [train(prepared, candidate, prepared.origin, tools) for candidate in prepared.candidates]
    return prepared, evaluate(prepared, trained, tools)


def test_registering_twice_makes_one_version(tools: Tools, pipeline: Writer) -> None:
    """A retry finds what the first try registered."""
    prepared, evaluated = judged(pipeline(), tools)
    assert register(prepared, evaluated, tools) == register(prepared, evaluated, tools)
    assert len(tools.models.list_versions(prepared.pipeline)) == 1


def test_a_version_can_be_traced(tools: Tools, pipeline: Writer) -> None:
    """Its tags lead to run, candidate, data and configuration, and say what it scored."""
    prepared, evaluated = judged(pipeline(), tools)
    register(prepared, evaluated, tools)
    tags = tools.models.list_versions(prepared.pipeline)[0].tags
    assert tags["waterflow.parent_run_id"] == prepared.parent_run_id
    assert tags["waterflow.data_digest"] == prepared.data.digest
    assert tags["waterflow.config_digest"] == prepared.config.digest
    assert tags["waterflow.candidate"] == "gaussian_nb"
    assert float(tags["metric.f1_macro"]) > 0.8


def test_a_missed_gate_leaves_a_version_without_alias(tools: Tools, pipeline: Writer) -> None:
    """The run says metric, value and bound; the first model has to pass like any other."""
    name = pipeline(gate={"metric": "accuracy", "at_least": 0.999})
    registered = workflow.run_all(request_of(name), tools)
    assert (registered.version, registered.aliases) == (1, ())
    assert registered.reason.startswith("accuracy 0.9")
    assert registered.reason.endswith("misses the gate: at least 0.999")
    assert tools.runs.client.get_run(registered.parent_run_id).data.tags["waterflow.decision"] == registered.reason


def test_no_gate_promotes_nothing(tools: Tools, pipeline: Writer) -> None:
    """Without a bound, nothing says that a model is good enough."""
    registered = workflow.run_all(request_of(pipeline(gate=None)), tools)
    assert registered.aliases == ()
    assert "no gate" in registered.reason


def test_quick_never_promotes(tools: Tools, pipeline: Writer) -> None:
    """It selects on the holdout, so the holdout is no evidence any more."""
    registered = workflow.run_all(request_of(pipeline(), strategy="quick"), tools)
    assert registered.aliases == ()
    assert registered.evaluated.exploratory
    assert "exploratory" in registered.reason
    assert tools.runs.client.get_run(registered.parent_run_id).data.tags["waterflow.exploratory"] == "true"


def run_window(name: str, tools: Tools, end: datetime) -> Registered:
    """Run a dated pipeline up to `end`."""
    return workflow.run_all(request_of(name, f"until_{end:%m%d}", window=Window(end=end)), tools)


def test_an_older_window_never_takes_the_champions_place(tools: Tools, pipeline: Writer) -> None:
    """A backfill of last month does not replace the model of this month; a newer window does."""
    rows = iris().sample(frac=1, random_state=1).assign(day=pd.date_range("2026-01-01", periods=150).astype("str"))
    write_rows(tools.project, rows, "dated.csv")
    dataset = {"kind": "csv", "path": "data/dated.csv"}
    name = pipeline(dataset=dataset, time_column="day", split={"kind": "time"})
    march = run_window(name, tools, datetime(2026, 3, 31))
    february = run_window(name, tools, datetime(2026, 2, 28))
    april = run_window(name, tools, datetime(2026, 4, 30))
    assert march.aliases == ("challenger", "champion")
    assert february.aliases == ()
    assert "an older window never takes its place" in february.reason
    assert april.aliases == ("challenger", "champion")
