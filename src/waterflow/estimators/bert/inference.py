"""Predictions of a fine-tuned model. A copy of this file is part of each logged model, so it imports only libraries.

MLflow imports the copy from the model's `code` folder and calls `_load_pyfunc`. A model thus predicts raw columns
wherever torch and transformers are installed, with the code that evaluated it.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

SETTINGS_FILE, STEPS_FILE, WEIGHTS, TOKENIZER = "text_classifier.json", "steps.pkl", "model", "components/tokenizer"
PARTS = (SETTINGS_FILE, STEPS_FILE, WEIGHTS, TOKENIZER)
CHUNK_ROWS = 1_000


def join_texts(rows: Any, separator: str) -> list[str]:
    """Join each row's columns into one text. A null counts as empty.

    `rows` is a data frame, a series, a list of texts or an array of shape (rows,) or (rows, columns).
    """
    frame = pd.DataFrame(rows.to_numpy() if isinstance(rows, pd.Series) else rows)
    columns = [frame[name].astype(object).where(frame[name].notna(), "").map(str) for name in frame]
    return [separator.join(part for part in parts if part) for parts in zip(*columns, strict=True)]


def as_classes(names: Sequence[Any]) -> NDArray[Any]:
    """Return class names from JSON as an array. Texts are objects like scikit-learn's."""
    return np.asarray(names, dtype=object if isinstance(names[0], str) else None)


def encode_texts(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[NDArray[np.int32]]:
    """Encode texts as token ids. There are at most `max_length` each; chunks bound the memory."""
    encoded: list[NDArray[np.int32]] = []
    for start in range(0, len(texts), CHUNK_ROWS):
        tokens = tokenizer(list(texts[start : start + CHUNK_ROWS]), truncation=True, max_length=max_length)
        # Some tokenizers return no token for an empty text.
        encoded += [np.asarray(ids or [tokenizer.pad_token_id], dtype=np.int32) for ids in tokens["input_ids"]]
    return encoded


def pad_batch(encoded: Sequence[NDArray[np.int32]], tokenizer: Any, device: Any) -> dict[str, Any]:
    """Return `input_ids` and `attention_mask`, each padded to shape (texts, tokens)."""
    import torch

    side = tokenizer.padding_side
    ids = [torch.from_numpy(entry.astype(np.int64)) for entry in encoded]
    masks = [torch.ones_like(entry) for entry in ids]
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "input_ids": pad(ids, batch_first=True, padding_value=tokenizer.pad_token_id, padding_side=side).to(device),
        "attention_mask": pad(masks, batch_first=True, padding_side=side).to(device),
    }


def predict_probabilities(
    model: Any, tokenizer: Any, texts: Sequence[str], *, max_length: int, batch_size: int
) -> NDArray[np.float64]:
    """Return each text's probabilities, of shape (texts, classes).

    Texts of similar length share a batch to avoid padding; the order of rows stays.
    """
    import torch

    encoded = encode_texts(tokenizer, texts, max_length)
    order = sorted(range(len(encoded)), key=lambda row: len(encoded[row]))
    probabilities = np.empty((len(encoded), model.config.num_labels))
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            logits = model(**pad_batch([encoded[row] for row in rows], tokenizer, model.device)).logits
            probabilities[rows] = torch.softmax(logits.double(), dim=-1).cpu().numpy()
    return probabilities


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Limit torch to `count` threads. Without `count` the environment's number is used, else torch's own."""
    import torch

    before = torch.get_num_threads()
    setting = os.environ.get("WATERFLOW_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    torch.set_num_threads(count or (int(setting) if setting.isdecimal() else 0) or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quietly() -> Iterator[None]:
    """Silence transformers' reports and progress bars. A new head is expected."""
    from transformers.utils import logging

    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()


def remove_estimator(model: Any) -> Any:
    """Return calibration and threshold without the estimator inside. Without either it is `passthrough`."""
    if not hasattr(model, "estimator"):
        return "passthrough"
    return _with_estimator(model, remove_estimator(model.estimator))


def insert_estimator(wrapper: Any, estimator: Any) -> Any:
    """Return an estimator inside the wrapper that `remove_estimator` left."""
    if isinstance(wrapper, str):
        return estimator
    return _with_estimator(wrapper, insert_estimator(wrapper.estimator, estimator))


def _with_estimator(wrapper: Any, estimator: Any) -> Any:
    changed = copy(wrapper)
    for name in {"estimator", "estimator_"} & set(vars(wrapper)):  # as set before and after a fit
        setattr(changed, name, estimator)
    return changed


class TextClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A loaded model with the predicting half of scikit-learn's API."""

    def __init__(self, model: Any, tokenizer: Any, settings: Mapping[str, Any]) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.settings = settings

    @property
    def classes_(self) -> NDArray[Any]:
        """Return the classes. They are in the order of the columns of `predict_proba`."""
        return as_classes(self.settings["classes"])

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803  # scikit-learn's name
        """Return probabilities of shape (rows, classes)."""
        with limited_threads(None):
            sizes = {name: self.settings[name] for name in ("max_length", "batch_size")}
            return predict_probabilities(self.model, self.tokenizer, join_texts(X, self.settings["separator"]), **sizes)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each row."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def __sklearn_is_fitted__(self) -> bool:
        return True


class TextModel:
    """A logged model: raw columns in, classes out."""

    def __init__(self, folder: Path) -> None:
        """Read weights, tokenizer, settings, and the steps around the model."""
        import cloudpickle
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.settings = json.loads((folder / SETTINGS_FILE).read_text("utf-8"))
        self.steps = cloudpickle.loads((folder / STEPS_FILE).read_bytes())
        options = {"local_files_only": True}
        with quietly():
            self.model = AutoModelForSequenceClassification.from_pretrained(folder / WEIGHTS, **options).eval()
            self.tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER, **options)
        self.classifier = insert_estimator(self.steps[-1], TextClassifier(self.model, self.tokenizer, self.settings))

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> NDArray[Any] | pd.DataFrame:
        """Return the class of each row. With `probabilities`, a column per class."""
        transformed = self.steps[:-1].transform(rows)
        if not (params or {}).get("probabilities"):
            return self.classifier.predict(transformed)
        columns = [str(name) for name in self.classifier.classes_]
        return pd.DataFrame(self.classifier.predict_proba(transformed), columns=columns)


def _load_pyfunc(path: str) -> TextModel:
    """Load a model for MLflow from its folder."""
    return TextModel(Path(path))
