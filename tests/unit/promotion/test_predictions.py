"""Predictions that can be compared, and those that cannot."""

from typing import Any

import numpy as np
import pytest

from waterflow.promotion.predictions import UnusableError, align_labels, predict_usably
from waterflow.scoring.metrics import Predicted


def labelled(labels: list[Any], classes: tuple[Any, ...] = ()) -> Predicted:
    """Return predictions that are the truth."""
    values = np.array(labels, dtype=object) if isinstance(labels[0], str) else np.array(labels)
    return Predicted(values, values, classes or tuple(dict.fromkeys(labels)))


@pytest.mark.parametrize("labels", [[0, 1, 2], [0.0, 1.0, 2.0], ["0", "1", "2"]])
@pytest.mark.parametrize("reference", [[0, 1, 2], [0.0, 1.0, 2.0], ["0", "1", "2"]])
def test_labels_are_equal_by_value(labels: list[Any], reference: list[Any]) -> None:
    """Whatever type each model's data was read as."""
    aligned = align_labels(labelled(labels), labelled(reference))
    assert (aligned.prediction == labelled(reference).truth).all()
    assert aligned.classes == tuple(reference)


def test_a_label_that_the_rows_lack_stays_itself() -> None:
    """It is wrong, and no error."""
    aligned = align_labels(labelled(["0", "1", "x"]), labelled([0, 1, 1]))
    assert aligned.prediction.tolist() == [0, 1, "x"]


def test_models_without_a_common_label_are_not_compared() -> None:
    """The message shows both."""
    with pytest.raises(UnusableError, match=r"other labels \('a', 'b'\) than these rows have \(0, 1\)"):
        align_labels(labelled(["a", "b"]), labelled([0, 1]))


def test_two_labels_of_one_value_are_not_compared() -> None:
    """Nobody could say which one is meant."""
    with pytest.raises(UnusableError, match="have the same value"):
        align_labels(labelled([0, 1]), labelled(["1", "1.0"]))


def answer(answers: list[float]) -> Predicted:
    """Predict, or raise without an answer."""
    return Predicted(np.zeros(3), np.array(answers if answers else 1 / 0))


@pytest.mark.parametrize("answers", [[1.0, float("nan"), 3.0], [1.0, 2.0, float("inf")]])
def test_an_answer_that_is_no_number_cannot_be_used(answers: list[float]) -> None:
    """One row is enough."""
    with pytest.raises(UnusableError, match="it answers NaN on 1 of 3 rows"):
        predict_usably(lambda: answer(answers))


def test_a_model_that_raises_cannot_be_used() -> None:
    """Its own words are the reason."""
    with pytest.raises(UnusableError, match="it cannot predict these rows: ZeroDivisionError"):
        predict_usably(lambda: answer([]))


def test_numbers_can_be_used() -> None:
    """They come back as they are."""
    assert predict_usably(lambda: answer([1.0, 2.0, 3.0])).prediction.tolist() == [1.0, 2.0, 3.0]
