from datetime import UTC, datetime

import pytest
from support.projects import config_of

from waterflow.records.data import Blob, Prepared, Share
from waterflow.records.evaluation import Evaluated, GateResult, MetricResult, Verdict
from waterflow.records.run import Origin, Window
from waterflow.records.training import DecisionRule, FitChoices, Trained
from waterflow.reporting.model_card import first_sentence, model_card
from waterflow.reporting.verdict_text import format_number

BLOB = Blob(key="blobs/ab/abc", digest="abcdef0123456789", size_bytes=1)
RESULT = MetricResult(
    metric="accuracy",
    challenger=0.95,
    challenger_low=0.92,
    challenger_high=0.97,
    champion=0.9,
    champion_low=0.86,
    champion_high=0.93,
    difference=0.05,
    low=0.01,
    high=0.09,
)


def evaluated_with(exploratory: bool = False, **changes: object) -> Evaluated:
    """Write the record of an evaluation with this verdict."""
    verdict = {
        "outcome": "promote",
        "reason": "accuracy is better by 0.05",
        "metric": "accuracy",
        "against": "champion version 3",
        "champion_version": 3,
        "rows": 1300,
        "disjoint": True,
        "challenger": 0.95,
        "champion": 0.9,
        "alpha": 0.05,
        "min_gain": 0.0,
        "resamples": 2000,
        "metrics": [RESULT],
    }
    trained = Trained(
        candidate="nb", action_key="k", run_id="r", model_id="m", scored_on="validation", metrics={}, fit_seconds=1.0
    )
    return Evaluated(
        ranked=(trained,),
        missing=("svc",),
        main_metric="accuracy",
        exploratory=exploratory,
        holdout_rows=1300,
        holdout_metrics={"accuracy": 0.95},
        gate=GateResult(metric="accuracy", value=0.95, threshold=0.9, rule="at_least", passed=True, reason="it passes"),
        verdict=Verdict.model_validate({**verdict, **changes}),
    )


def prepared_with(window: Window | None) -> Prepared:
    """Write the record of a preparation."""
    return Prepared(
        pipeline="flowers",
        origin=Origin(runner="cli", run_id="run"),
        action_key="k",
        experiment_id="1",
        parent_run_id="p",
        config=BLOB,
        data=BLOB,
        split=BLOB,
        window=window,
        read_at=datetime(2026, 1, 1, tzinfo=UTC),
        rows=5000,
        shares=(Share(part="train", rows=3700), Share(part="test", rows=1300)),
        candidates=("nb", "svc"),
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {},
            "it is better than champion version 3: accuracy 0.95 against 0.9 on 1,300 rows that neither",
        ),
        ({"outcome": "hold"}, "it is no better than champion version 3: accuracy"),
        (
            {"outcome": "insufficient evidence"},
            "whether it is better than champion version 3 cannot be told yet: accuracy",
        ),
        ({"against": "baseline mean", "champion_version": None}, "it is better than always naming the mean: accuracy"),
        (
            {"outcome": "insufficient evidence", "challenger": None, "reason": "the champion has no files"},
            "whether it is better than champion version 3 is not known: the champion has no files.",
        ),
        ({"disjoint": False, "outcome": "hold"}, "on 1,300 rows that it was not trained on."),
    ],
)
def test_the_first_sentence_can_be_read_by_a_manager(changes: dict[str, object], sentence: str) -> None:
    """What the model predicts, and whether it is better than what there was."""
    said = first_sentence(config_of(), evaluated_with(**changes))
    assert said.startswith("This model predicts species; ")
    assert sentence in said


def test_the_card_states_the_decision() -> None:
    """Whoever uses the labels knows where they come from."""
    evaluated = evaluated_with()
    rule = DecisionRule(positive=True, threshold=0.22512, positive_rate=0.4)
    winner = evaluated.winner.model_copy(update={"choices": FitChoices(decision=rule)})
    decided = evaluated.model_copy(update={"ranked": (winner,)})
    config = config_of(costs={"miss": 4, "false_alarm": 1}, calibration="sigmoid")
    text = "calls a row `True` if that has a probability of 0.2251 or more, by costs, sigmoid"
    assert text in model_card(config, prepared_with(None), decided, {})
    assert "calls a row" not in model_card(config, prepared_with(None), evaluated, {})


def test_an_exploratory_model_says_so_first() -> None:
    """Nobody should take it for more."""
    assert first_sentence(config_of(), evaluated_with(exploratory=True)).startswith("An exploratory model")


def test_the_card_answers_what_one_asks() -> None:
    """Use, data, window, metrics with intervals, verdict, lineage."""
    window = Window.model_validate({"start": "2013-01-01", "end": "2013-02-01"})
    config = config_of(intended_use="Sorting flowers, not people.", time_column="day")
    card = model_card(
        config, prepared_with(window), evaluated_with(), {"MLflow run": "https://mlflow/1", "data": "abc"}
    )
    assert card.startswith("This model predicts species")
    for part in (
        "Sorting flowers, not people.",
        "5,000 rows (3,700 train, 1,300 test), window [2013-01-01, 2013-02-01)",
        "data `abcdef012345`",
        "| accuracy | 0.95 (0.92 to 0.97) | 0.9 (0.86 to 0.93) | 0.05 (0.01 to 0.09) |",
        "intervals at 90 %",
        "**promote** against champion version 3: accuracy is better by 0.05.",
        "Not trained: svc.",
        "[https://mlflow/1](https://mlflow/1)",
        "- data: `abc`",
    ):
        assert part in card


def test_what_comes_from_the_yaml_is_escaped() -> None:
    """MLflow shows the card as Markdown, which may hold HTML."""
    card = model_card(config_of(intended_use="<img src=x onerror=alert(1)>"), prepared_with(None), evaluated_with(), {})
    assert "<img" not in card
    assert "&lt;img" in card


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.95, "0.95"), (0.123456, "0.1235"), (1234.5, "1,234"), (0.0, "0"), (0.000012345, "1.23e-05"), (None, "–")],
)
def test_numbers_have_four_digits_that_count(value: float | None, text: str) -> None:
    """As many as a person compares."""
    assert format_number(value) == text


def test_a_long_intended_use_says_where_all_of_it_is() -> None:
    """The card is cut there, and its other answers stay."""
    config = config_of(intended_use="A sentence of the model policy. " * 200)
    card = model_card(config, prepared_with(None), evaluated_with(), {})
    assert "… (all of it: artifact waterflow/config.json of the MLflow run)\n\n## Data" in card
    assert len(card) < 4000
