"""BERT as a scikit-learn estimator: every fit here is a real one."""

import logging
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from support.projects import message_of

from waterflow.errors import ConfigError, FitError
from waterflow.estimators.bert import BertClassifier
from waterflow.estimators.bert.inference import join_texts
from waterflow.estimators.bert.training import shuffled_batches


@pytest.fixture(scope="module")
def fitted(rows: pd.DataFrame, small: dict[str, Any]) -> BertClassifier:
    """Fit once."""
    return BertClassifier(**small).fit(rows[["text"]], rows["sentiment"])


def test_it_learns_classes_from_texts(fitted: BertClassifier, rows: pd.DataFrame) -> None:
    """The classes are those of the target, the probabilities in their order and add up to one."""
    probabilities = fitted.predict_proba(rows[["text"]])
    assert list(fitted.classes_) == ["negative", "positive"]
    assert probabilities.shape == (len(rows), 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (fitted.predict(rows[["text"]]) == fitted.classes_[probabilities.argmax(axis=1)]).all()


def test_the_same_seed_fits_the_same_model(fitted: BertClassifier, rows: pd.DataFrame, small: dict[str, Any]) -> None:
    """Head, dropout and the order of rows all follow from the seed, and from it alone."""
    random.seed(5)
    torch.manual_seed(5)
    again = clone(fitted).fit(rows[["text"]], rows["sentiment"])
    other = BertClassifier(**small | {"random_state": 2}).fit(rows[["text"]], rows["sentiment"])
    assert np.array_equal(again.predict_proba(rows), fitted.predict_proba(rows))
    assert not np.array_equal(other.predict_proba(rows), fitted.predict_proba(rows))


def test_a_fit_leaves_the_process_as_it_was(rows: pd.DataFrame, small: dict[str, Any]) -> None:
    """Seeds and threads are its own."""
    torch.set_num_threads(2)
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    BertClassifier(**small).fit(rows["text"], rows["sentiment"])
    assert torch.rand(1) == expected
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_order_of_rows_and_their_company_hardly_matter(fitted: BertClassifier, rows: pd.DataFrame) -> None:
    """Batches are made by length, and padding is masked."""
    together = fitted.predict_proba(rows[["text"]])
    alone = np.vstack([fitted.predict_proba(rows[["text"]].iloc[[row]]) for row in range(8)])
    backwards = fitted.predict_proba(rows[["text"]][::-1])[::-1]
    assert np.allclose(together[:8], alone, atol=1e-5)
    assert np.allclose(together, backwards, atol=1e-5)


def test_texts_come_in_many_shapes(fitted: BertClassifier, rows: pd.DataFrame) -> None:
    """A frame, a series, a list and arrays say the same."""
    texts = rows["text"]
    expected = fitted.predict_proba(rows[["text"]])
    for given in (texts, texts.tolist(), texts.to_numpy(dtype=object), rows[["text"]].to_numpy(dtype=object)):
        assert np.array_equal(fitted.predict_proba(given), expected)


def test_several_columns_become_one_text() -> None:
    """In their order; a null or an empty text leaves no gap."""
    frame = pd.DataFrame({"title": ["Fine", None, ""], "stars": [4, 2, 1], "text": ["as is", "so so", pd.NA]})
    assert join_texts(frame, " | ") == ["Fine | 4 | as is", "2 | so so", "1"]


def test_a_text_that_is_null_or_empty_gets_a_class(fitted: BertClassifier) -> None:
    """Both are an empty text."""
    probabilities = fitted.predict_proba(pd.DataFrame({"text": [None, "", float("nan")]}))
    assert np.isfinite(probabilities).all()
    assert np.allclose(probabilities, probabilities[0], atol=1e-6)


def test_a_text_of_any_length_is_cut(fitted: BertClassifier) -> None:
    """What lies beyond `max_length` tokens is not read."""
    start = "word " * 20
    probabilities = fitted.predict_proba([start, start + "other " * 5000])
    assert np.allclose(probabilities[0], probabilities[1], atol=1e-6)


def test_labels_may_be_numbers_or_truth_values(rows: pd.DataFrame, small: dict[str, Any]) -> None:
    """What is predicted has the target's type."""
    few = rows.iloc[::6]
    for labels in (few["sentiment"].eq("positive"), few["sentiment"].eq("positive") * 7):
        predicted = BertClassifier(**small).fit(few["text"], labels).predict(few["text"])
        assert predicted.dtype == labels.dtype
        assert set(predicted) <= set(labels)


def test_scikit_learn_can_cross_validate_it(rows: pd.DataFrame, small: dict[str, Any]) -> None:
    """Cloning and scoring are scikit-learn's."""
    scores = cross_val_score(BertClassifier(**small), rows[["text"]], rows["sentiment"], cv=2)
    assert scores.shape == (2,)


def test_the_best_epochs_weights_are_kept(rows: pd.DataFrame, small: dict[str, Any]) -> None:
    """With rows held back, an epoch that made things worse is undone."""
    settings = small | {"epochs": 3, "validation_fraction": 0.25, "learning_rate": 3e-3}
    model = BertClassifier(**settings).fit(rows["text"], rows["sentiment"])
    assert [sorted(epoch) for epoch in model.history_] == [["train_loss", "validation_loss"]] * 3
    held_back = model._divide(np.unique(rows["sentiment"], return_inverse=True)[1], 1)[1]
    chosen = rows.iloc[held_back]
    truth = chosen["sentiment"].eq("positive").to_numpy().astype(int)
    found = -np.log(model.predict_proba(chosen["text"])[np.arange(len(chosen)), truth]).mean()
    assert found == pytest.approx(min(epoch["validation_loss"] for epoch in model.history_), abs=1e-4)


def test_batches_hold_every_row_once_and_texts_of_like_length() -> None:
    """Little of a batch is padding."""
    encoded = [np.zeros(length, dtype=np.int32) for length in np.random.default_rng(1).integers(1, 60, 300)]
    batches = list(shuffled_batches(encoded, 16, np.random.default_rng(2)))
    assert sorted(np.concatenate(batches)) == list(range(300))
    lengths = [[len(encoded[row]) for row in batch] for batch in batches]
    assert np.mean([max(batch) - min(batch) for batch in lengths]) < 6


def test_progress_is_reported_line_by_line_in_a_task(
    rows: pd.DataFrame, small: dict[str, Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is fine-tuned, now and then how far it is, and each epoch's loss."""
    monkeypatch.setattr("waterflow.estimators.bert.training.LOG_SECONDS", 0.0)
    with caplog.at_level(logging.INFO, "waterflow"):
        BertClassifier(**small).fit(rows["text"], rows["sentiment"])
    lines = [record.getMessage() for record in caplog.records]
    assert "on 48 texts" in lines[0]
    assert "step 2 of 3: loss" in lines[2]
    assert "texts per second" in lines[2]
    assert lines[-1].startswith("epoch 1 of 1: train loss")


def test_a_loss_that_is_no_number_stops_the_fit(rows: pd.DataFrame, small: dict[str, Any]) -> None:
    """The message says what to do."""
    model = BertClassifier(**small | {"learning_rate": 1e30, "epochs": 3})
    with pytest.raises(FloatingPointError, match="lower learning_rate"):
        model.fit(rows["text"], rows["sentiment"])


def test_a_single_class_cannot_be_learnt(rows: pd.DataFrame, small: dict[str, Any]) -> None:
    """The message names it."""
    with pytest.raises(ValueError, match="single class 'positive'"):
        BertClassifier(**small).fit(rows["text"], ["positive"] * len(rows))


def test_a_model_that_was_not_fitted_does_not_predict() -> None:
    """In scikit-learn's words."""
    with pytest.raises(NotFittedError):
        BertClassifier().predict(["text"])


def test_an_unknown_checkpoint_without_network_is_said_at_once(rows: pd.DataFrame, small: dict[str, Any]) -> None:
    """One line, within seconds, with the remedy."""
    model = BertClassifier(**small | {"checkpoint": "nobody/has-this-model"})
    started = time.monotonic()
    message = message_of(lambda: model.fit(rows["text"], rows["sentiment"]), FitError)
    assert time.monotonic() - started < 5
    assert message.startswith("checkpoint: 'nobody/has-this-model' is neither a folder nor in the local")
    assert message.endswith("check the name and the network, or give the folder of a saved model")


@pytest.mark.parametrize(
    "checkpoint", ["/no/such/folder", "./here", "package:no_such_package/model", "package:pandas/x"]
)
def test_a_folder_without_a_checkpoint_is_named(checkpoint: str) -> None:
    """It is looked for before anything is read or trained."""
    message = message_of(BertClassifier(checkpoint).check_ready, ConfigError)
    assert message.startswith(f"checkpoint: {checkpoint!r} is no folder with a config.json")


def test_a_folder_that_holds_no_weights_is_named(tmp_path: Path, rows: pd.DataFrame, small: dict[str, Any]) -> None:
    """The reason is transformers' own."""
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    model = BertClassifier(**small | {"checkpoint": str(tmp_path)})
    message = message_of(lambda: model.fit(rows["text"], rows["sentiment"]), FitError)
    assert str(tmp_path) in message
    assert "AutoModelForSequenceClassification" in message


@pytest.mark.parametrize(("name", "value"), [("epochs", 0), ("batch_size", 0), ("max_length", 2), ("warmup", -0.1)])
def test_settings_that_cannot_work_are_refused(small: dict[str, Any], name: str, value: float) -> None:
    """The message names the setting, the value and what is valid."""
    message = message_of(BertClassifier(**small | {name: value}).check_ready, ConfigError)
    assert message.startswith(f"{name}: {value!r} is not valid; at least ")
