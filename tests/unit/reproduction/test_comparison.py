import numpy as np
import pandas as pd
import pytest

from waterflow.reproduction.comparison import (
    BERT_TOLERANCE,
    compare_predictions,
    compare_values,
    tolerance_of,
)

SAID = pd.DataFrame(
    {"row": [3, 5, 8], "truth": list("aab"), "prediction": list("aba"), "probability_a": [0.9, 0.4, 0.6]}
)
NUMBERS = pd.DataFrame({"row": [3, 5], "truth": [1.0, 2.0], "prediction": [1.5, 2.5]})


def test_the_same_predictions_agree() -> None:
    """Exactly; nothing differs and nothing is rounded."""
    found = compare_predictions(SAID, SAID.copy(), 0.0)
    assert (found.count, len(found.differing), found.largest) == (3, 0, 0.0)
    assert found.summarize("predictions").agrees


def test_the_last_bit_of_a_probability_counts() -> None:
    """And the row says what it was and what it is."""
    other = SAID.assign(probability_a=[0.9, np.nextafter(0.4, 1), 0.6])
    found = compare_predictions(SAID, other, 0.0)
    assert found.differing["row"].tolist() == [5]
    assert found.differing["probability_a_recorded"].tolist() == [0.4]
    assert 0 < (found.largest or 0) < 1e-16
    assert not found.summarize("predictions").agrees


def test_another_class_counts_where_there_are_no_probabilities() -> None:
    """Labels are compared for equality."""
    bare = SAID.drop(columns="probability_a")
    assert compare_predictions(bare, bare.assign(prediction=list("abb")), 0.0).differing["row"].tolist() == [8]
    assert compare_predictions(bare, bare.assign(prediction=list("abb")), 0.1).differing["row"].tolist() == [8]


def test_numbers_are_held_to_the_tolerance() -> None:
    """A difference of just that is granted."""
    other = NUMBERS.assign(prediction=[1.5, 2.75])
    assert len(compare_predictions(NUMBERS, other, 0.25).differing) == 0
    assert len(compare_predictions(NUMBERS, other, 0.2).differing) == 1


def test_a_prediction_that_is_no_number_agrees_with_its_like_alone() -> None:
    """NaN beside NaN is the same; beside a number it is not."""
    nan = NUMBERS.assign(prediction=[np.nan, 2.5])
    assert len(compare_predictions(nan, nan.copy(), 0.0).differing) == 0
    assert len(compare_predictions(nan, NUMBERS, 1e9).differing) == 1


@pytest.mark.parametrize("other", [SAID.head(2), SAID.assign(row=[1, 2, 3]), SAID.drop(columns="probability_a")])
def test_other_rows_or_columns_are_no_agreement(other: pd.DataFrame) -> None:
    """There is no difference to state then."""
    found = compare_predictions(SAID, other, 1.0)
    assert len(found.differing) > 0
    assert found.largest is None


def test_metrics_are_compared_by_name() -> None:
    """One that the second fit lacks does not agree; one that was not recorded cannot be compared."""
    lines = compare_values("metric", {"a": 0.5, "b": 1.0}, {"a": 0.5, "c": 1.0})
    assert [(line.what, line.agrees) for line in lines] == [
        ("metric a", True),
        ("metric b", False),
        ("metric c", None),
    ]


def test_parameters_are_compared_as_text() -> None:
    """As MLflow keeps them."""
    lines = compare_values("parameter", {"C": "1"}, {"C": "1.0"})
    assert [line.agrees for line in lines] == [False]


def test_bert_alone_is_granted_a_difference() -> None:
    """Everything else that is trained on a CPU repeats itself."""
    assert tolerance_of("waterflow.estimators.bert.BertClassifier") == BERT_TOLERANCE > 0
    assert tolerance_of("sklearn.svm.SVC") == tolerance_of("xgboost.XGBClassifier") == 0
