import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.projects import FLOWERS, request_of, write_pipeline
from support.promotion import evaluate_run

from waterflow import workflow
from waterflow.records.promotion import Registered
from waterflow.resources import Resources
from waterflow.steps.register import register

Writer = Callable[..., str]


@pytest.fixture(scope="module")
def challenged(resources: Resources) -> tuple[Resources, Registered, Registered]:
    """Register one run twice, with a verdict that is good."""
    one = [{"/strategy": "balanced"}, {"/model@candidates": ["gaussian_nb"]}]
    write_pipeline(resources.project, "challenged", {**FLOWERS, "defaults": one}, description="Which iris is this?")
    prepared, evaluated = evaluate_run("challenged", resources)
    return resources, register(prepared, evaluated, resources), register(prepared, evaluated, resources)


def test_registering_twice_makes_one_version(challenged: tuple[Resources, Registered, Registered]) -> None:
    """A retry finds what the first try registered, and does not check it again."""
    resources, first, second = challenged
    assert first == second
    assert len(resources.registry.list_versions("challenged")) == 1


def test_a_good_verdict_makes_a_challenger(challenged: tuple[Resources, Registered, Registered]) -> None:
    """The champion's place is not taken here."""
    _, first, _ = challenged
    assert first.evaluated.verdict is not None
    assert first.evaluated.verdict.outcome == "promote"
    assert first.aliases == ("challenger",)
    assert not first.awaits_approval


def test_each_staging_check_is_a_line_of_the_run_and_a_tag_of_the_version(
    challenged: tuple[Resources, Registered, Registered],
) -> None:
    """It was loaded in a fresh process, predicted as in training, and was fast and small enough."""
    resources, first, _ = challenged
    names = ["loads", "signature", "input_example", "predictions", "latency", "size"]
    assert [check.name for check in first.checks] == names
    assert all(check.passed for check in first.checks), first.checks
    assert first.checks[3].actual == "30 rows, at most 0 apart"
    version = resources.registry.get_version("challenged", 1)
    assert version is not None
    run = resources.runs.get_run(first.parent_run_id).tags
    for name in names:
        assert version.tags[f"waterflow.staging.{name}"].startswith("passed: ")
        assert run[f"waterflow.staging.{name}"].startswith("passed: ")
    logged = resources.runs.read_json(first.parent_run_id, "waterflow/staging.json")
    assert logged is not None
    assert [check["name"] for check in logged["checks"]] == names


def test_a_version_can_be_traced(challenged: tuple[Resources, Registered, Registered]) -> None:
    """Its tags lead to run, candidate, data, configuration and what decided its fit, and say what it scored."""
    resources, first, _ = challenged
    version = resources.registry.get_version("challenged", 1)
    assert version is not None
    run = resources.runs.get_run(first.parent_run_id).tags
    assert version.tags["waterflow.parent_run_id"] == first.parent_run_id
    assert version.tags["waterflow.data_digest"] == run["waterflow.data_digest"]
    assert version.tags["waterflow.config_digest"] == run["waterflow.config_digest"]
    assert version.tags["waterflow.candidate"] == "gaussian_nb"
    assert version.tags["waterflow.action_key"] == first.evaluated.winner.action_key
    assert version.tags["waterflow.verdict"] == "promote"
    assert float(version.tags["metric.f1_macro"]) > 0.8


def test_a_version_has_a_card(challenged: tuple[Resources, Registered, Registered], tmp_path: Path) -> None:
    """Its description starts with a sentence for everybody; the run keeps the card as an artifact."""
    resources, first, _ = challenged
    description = resources.runs.client.get_model_version("challenged", "1").description
    title, _, card_text = description.partition("\n\n")
    assert re.fullmatch(r"gaussian_nb \d\.\d{3}", title)
    assert card_text.startswith("This model predicts species; it is better than guessing labels at random")
    assert "## Verdict" in description
    card = resources.runs.client.download_artifacts(first.parent_run_id, "model_card.md", str(tmp_path))
    assert Path(card).read_text() == card_text


def test_a_missed_gate_leaves_a_version_without_alias(resources: Resources, pipeline: Writer) -> None:
    """The reason has metric, value and bound; the first model has to pass like any other."""
    prepared, evaluated = evaluate_run(pipeline(gate={"metric": "accuracy", "at_least": 0.999}), resources)
    registered = register(prepared, evaluated, resources)
    assert (registered.version, registered.aliases, registered.checks) == (1, (), ())
    assert registered.reason.startswith("accuracy 0.9")
    assert registered.reason.endswith("misses the gate: at least 0.999")


def test_what_stages_badly_is_rejected(resources: Resources, pipeline: Writer) -> None:
    """A whole run with a budget that no model keeps: nobody is champion, and the run says why."""
    name = pipeline(promotion={"staging": {"size_mb": 0.000001}})
    done = workflow.run_all(request_of(name), resources)
    assert done.decision is not None
    assert (done.decision.kind, done.aliases) == ("reject", ())
    assert done.reason.startswith("staging check size: found 0.0")
    assert resources.runs.get_run(done.parent_run_id).status == "FINISHED"


def test_quick_makes_no_challenger(resources: Resources, pipeline: Writer) -> None:
    """It selects on the holdout, so the holdout is no evidence any more."""
    prepared, evaluated = evaluate_run(pipeline(), resources, strategy="quick")
    registered = register(prepared, evaluated, resources)
    assert registered.aliases == ()
    assert registered.evaluated.exploratory
    assert "exploratory" in registered.reason
    assert resources.runs.get_run(registered.parent_run_id).tags["waterflow.exploratory"] == "true"
