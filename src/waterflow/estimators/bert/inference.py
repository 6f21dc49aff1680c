"""Classes of texts from a fine-tuned model. This file goes along with each logged model, and imports nothing of ours.

MLflow imports it from the model's own `code` folder and calls `_load_pyfunc`, so that a model predicts raw columns
wherever torch and transformers are installed, by the very code that judged it.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SETTINGS_FILE, STEPS_FILE, WEIGHTS, TOKENIZER = "text_classifier.json", "steps.pkl", "model", "components/tokenizer"
PARTS = (SETTINGS_FILE, STEPS_FILE, WEIGHTS, TOKENIZER)
CHUNK_ROWS = 1_000


def join_texts(rows: Any, separator: str) -> list[str]:
    """Make one text of each row's columns; a null counts as an empty text.

    `rows` is a data frame, a series, a list of texts or an array of shape (rows,) or (rows, columns).
    """
    frame = pd.DataFrame(rows.to_numpy() if isinstance(rows, pd.Series) else rows)
    columns = [frame[name].astype(object).where(frame[name].notna(), "").map(str) for name in frame]
    return [separator.join(part for part in parts if part) for parts in zip(*columns, strict=True)]


def as_classes(names: Sequence[Any]) -> NDArray[Any]:
    """Make an array of class names that were JSON; texts stay Python's, as scikit-learn has them."""
    return np.asarray(names, dtype=object if isinstance(names[0], str) else None)


def encode_texts(tokenizer: Any, texts: Sequence[str], max_length: int) -> list[NDArray[np.int32]]:
    """Turn texts into token ids, at most `max_length` each, some thousand at a time to bound memory."""
    encoded: list[NDArray[np.int32]] = []
    for start in range(0, len(texts), CHUNK_ROWS):
        found = tokenizer(list(texts[start : start + CHUNK_ROWS]), truncation=True, max_length=max_length)
        # Some tokenizers make nothing at all of an empty text.
        encoded += [np.asarray(ids or [tokenizer.pad_token_id], dtype=np.int32) for ids in found["input_ids"]]
    return encoded


def pad_batch(encoded: Sequence[NDArray[np.int32]], tokenizer: Any, device: Any) -> dict[str, Any]:
    """Pad some token ids to the longest of them: `input_ids` and `attention_mask` of shape (texts, tokens)."""
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
    """Give each text's probabilities, of shape (texts, classes).

    Texts of like length share a batch, so that little time goes into padding; the order of rows stays.
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
    """Let torch use `count` threads, or as many as the environment says; without either, what it chose itself."""
    import torch

    before = torch.get_num_threads()
    said = os.environ.get("WATERFLOW_THREADS") or os.environ.get("OMP_NUM_THREADS") or ""
    torch.set_num_threads(count or (int(said) if said.isdecimal() else 0) or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quietly() -> Iterator[None]:
    """Silence transformers' reports and bars of loading and saving: that a head is new is why there is a fit."""
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


class TextModel:
    """A logged model, loaded: raw columns in, classes out."""

    def __init__(self, folder: Path) -> None:
        """Read the weights, the tokenizer, the settings and the steps before the model."""
        import cloudpickle
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        self.settings = json.loads((folder / SETTINGS_FILE).read_text("utf-8"))
        self.steps = cloudpickle.loads((folder / STEPS_FILE).read_bytes())
        given = {"local_files_only": True}
        with quietly():
            self.model = AutoModelForSequenceClassification.from_pretrained(folder / WEIGHTS, **given).eval()
            self.tokenizer = AutoTokenizer.from_pretrained(folder / TOKENIZER, **given)

    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> NDArray[Any]:
        """Give the class of each row of raw columns."""
        texts = join_texts(self.steps.transform(rows), self.settings["separator"])
        with limited_threads(None):
            found = predict_probabilities(
                self.model,
                self.tokenizer,
                texts,
                max_length=self.settings["max_length"],
                batch_size=self.settings["batch_size"],
            )
        return as_classes(self.settings["classes"])[found.argmax(axis=1)]


def _load_pyfunc(path: str) -> TextModel:
    """Load a model for MLflow, from the folder that holds it."""
    return TextModel(Path(path))
