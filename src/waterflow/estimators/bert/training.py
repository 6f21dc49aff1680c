"""The loop that fine-tunes a model on token ids."""

import logging
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from waterflow.estimators.bert.inference import pad_batch

logger = logging.getLogger(__name__)

BUCKET_BATCHES = 20
LOG_SECONDS = 30.0

Encoded = Sequence[NDArray[np.int32]]


@dataclass(frozen=True)
class FineTuning:
    """The settings of a fine-tuning with AdamW. `warmup` is a share of all steps."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    warmup: float
    seed: int


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as token ids, row by row. Their classes come as numbers."""

    encoded: Encoded
    targets: NDArray[np.int64]


def fine_tune(
    model: Any, tokenizer: Any, train: EncodedTexts, validation: EncodedTexts | None, settings: FineTuning
) -> list[dict[str, float]]:
    """Train `model` in place and return each epoch's mean losses. They are on training and validation rows.

    AdamW with linear warm-up and decay, gradients clipped to norm 1, as in Devlin et al. 2019, appendix A.3. With
    validation rows the weights of the epoch with the lowest loss on them are kept.
    """
    import torch

    steps = settings.epochs * -(-len(train.encoded) // settings.batch_size)
    optimizer = torch.optim.AdamW(_parameter_groups(model, settings.weight_decay), lr=settings.learning_rate)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, _linear(steps, round(steps * settings.warmup)))
    order = np.random.default_rng(settings.seed)
    history: list[dict[str, float]] = []
    best: dict[str, Any] | None = None
    with _Progress(steps, len(train.encoded) * settings.epochs) as progress:
        for epoch in range(settings.epochs):
            model.train()
            losses = [
                progress.advance(_step(model, tokenizer, train, rows, optimizer, rate), len(rows))
                for rows in shuffled_batches(train.encoded, settings.batch_size, order)
            ]
            losses_by_part = {"train_loss": float(np.mean(losses))}
            if validation is not None:
                losses_by_part["validation_loss"] = mean_loss(model, tokenizer, validation, settings.batch_size)
                before = min((entry["validation_loss"] for entry in history), default=float("inf"))
                if losses_by_part["validation_loss"] < before:
                    best = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
            history.append(losses_by_part)
            text = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in losses_by_part.items())
            logger.info("epoch %d of %d: %s", epoch + 1, settings.epochs, text)
    if best is not None:
        model.load_state_dict(best)
    return history


def shuffled_batches(encoded: Encoded, batch_size: int, order: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield batches of row numbers in random order. Texts of similar length share one."""
    rows = order.permutation(len(encoded))
    lengths = np.array([len(entry) for entry in encoded])
    span = batch_size * BUCKET_BATCHES
    for start in range(0, len(rows), span):
        bucket = rows[start : start + span]
        bucket = bucket[np.argsort(lengths[bucket], kind="stable")]
        batches = [bucket[first : first + batch_size] for first in range(0, len(bucket), batch_size)]
        for position in order.permutation(len(batches)):
            yield batches[position]


def mean_loss(model: Any, tokenizer: Any, rows: EncodedTexts, batch_size: int) -> float:
    """Return the mean cross-entropy per row, in nats."""
    import torch

    total = 0.0
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(rows.encoded), batch_size):
            part = np.arange(start, min(start + batch_size, len(rows.encoded)))
            total += float(_loss(model, tokenizer, rows, part)) * len(part)
    return total / len(rows.encoded)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed Python, numpy and torch, with deterministic algorithms. Their state is restored."""
    import torch

    # cuBLAS is deterministic only with a workspace of fixed size.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    python, numpy = random.getstate(), np.random.get_state()
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(was_deterministic)
            random.setstate(python)
            np.random.set_state(numpy)


def _step(model: Any, tokenizer: Any, train: EncodedTexts, rows: NDArray[np.int64], optimizer: Any, rate: Any) -> float:
    import torch

    loss = _loss(model, tokenizer, train, rows)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    rate.step()
    optimizer.zero_grad()
    value = float(loss.detach())
    if not np.isfinite(value):
        raise FloatingPointError(f"the loss became {value}; lower learning_rate")
    return value


def _loss(model: Any, tokenizer: Any, rows: EncodedTexts, chosen: NDArray[np.int64]) -> Any:
    import torch

    batch = pad_batch([rows.encoded[row] for row in chosen], tokenizer, model.device)
    targets = torch.from_numpy(rows.targets[chosen]).to(model.device)
    return torch.nn.functional.cross_entropy(model(**batch).logits, targets)


def _parameter_groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Exclude biases and norms from the decay. They are vectors, weights are matrices."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def _linear(steps: int, warmup: int) -> Any:
    return lambda step: min((step + 1) / max(1, warmup), max(0.0, (steps - step) / max(1, steps - warmup)))


class _Progress:
    """A progress bar in a terminal. Elsewhere, as in a task's log, it is a line every 30 s."""

    def __init__(self, steps: int, texts: int) -> None:
        self._steps, self._texts = steps, texts

    def __enter__(self) -> "_Progress":
        from tqdm import tqdm

        self._bar = tqdm(total=self._texts, unit=" texts", leave=False, disable=not sys.stderr.isatty())
        self._started = self._logged = time.monotonic()
        self._done_steps = self._done_texts = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, loss: float, texts: int) -> float:
        self._bar.update(texts)
        self._done_steps, self._done_texts = self._done_steps + 1, self._done_texts + texts
        now = time.monotonic()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            speed = self._done_texts / (now - self._started)
            left = (self._texts - self._done_texts) / speed
            text = "step %d of %d: loss %.4f, %.1f texts per second, about %.0f s left"
            logger.info(text, self._done_steps, self._steps, loss, speed, left)
        return loss
