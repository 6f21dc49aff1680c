"""BERT with the scikit-learn API."""

import logging
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from waterflow.errors import ConfigError
from waterflow.estimators.bert.checkpoint import check_extra, find_checkpoint, load_checkpoint
from waterflow.estimators.bert.inference import (
    as_classes,
    encode_texts,
    join_texts,
    limited_threads,
    predict_probabilities,
    quietly,
)
from waterflow.estimators.bert.training import EncodedTexts, FineTuning, fine_tune, seeded

logger = logging.getLogger(__name__)

MINIMUM = {"epochs": 1, "batch_size": 1, "learning_rate": 0.0, "max_length": 3, "weight_decay": 0.0, "warmup": 0.0}


class BertClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A pretrained encoder, fine-tuned to classify texts.

    `checkpoint` is any model that transformers loads for sequence classification, a plain encoder too: a Hugging Face
    name (`revision` pins its commit), a folder, or `package:NAME/FOLDER` inside an installed package. Several columns
    are joined by `separator`; a null is an empty text. Texts are cut to `max_length` tokens. `warmup` is the share of
    steps over which the learning rate rises. With `validation_fraction`, that share of the training rows is held out
    and the best epoch's weights are kept. `device` is torch's, or `auto` for a GPU if there is one. `n_jobs` limits
    torch's threads on a CPU.

    On a CPU, the same seed, rows and number of threads fit the same model.
    """

    def __init__(
        self,
        checkpoint: str = "distilbert-base-uncased",
        *,
        revision: str | None = None,
        epochs: int = 2,
        batch_size: int = 16,
        learning_rate: float = 5e-5,
        max_length: int = 128,
        weight_decay: float = 0.01,
        warmup: float = 0.1,
        validation_fraction: float | None = None,
        separator: str = " ",
        device: str = "auto",
        n_jobs: int | None = None,
        random_state: int | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self.revision = revision
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_length = max_length
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.validation_fraction = validation_fraction
        self.separator = separator
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    def check_ready(self) -> None:
        """Raise ConfigError when a fit is not possible. Packages, checkpoint or settings may prevent it."""
        check_extra()
        find_checkpoint(self.checkpoint)
        for name, least in MINIMUM.items():
            if getattr(self, name) < least:
                raise ConfigError(f"{name}: {getattr(self, name)!r} is not valid; at least {least}")

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803  # scikit-learn's name
        """Fine-tune on texts. They are a frame of text columns, a series, a list, or an array of either shape.

        Raises ConfigError without the extra `bert`, FitError for a checkpoint that cannot be loaded, ValueError on a
        single class.
        """
        self.check_ready()
        self.classes_, targets = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has the single class {self.classes_.tolist()[0]!r}; at least two are needed")
        texts = join_texts(X, self.separator)
        seed = np.random.default_rng().integers(2**31) if self.random_state is None else self.random_state
        with seeded(int(seed)), limited_threads(self.n_jobs), quietly():
            names = {number: str(name) for number, name in enumerate(self.classes_)}
            model, self.tokenizer_ = load_checkpoint(self.checkpoint, self.revision, names)
            self.model_ = model.to(self._torch_device())
            self.history_ = self._fine_tune(texts, targets, int(seed))
            self.model_.eval()
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return probabilities of shape (rows, classes). They are in the order of `classes_`."""
        check_is_fitted(self, "model_")
        with limited_threads(self.n_jobs), quietly():
            sizes = {"max_length": self.token_limit, "batch_size": self.batch_size}
            return predict_probabilities(self.model_, self.tokenizer_, join_texts(X, self.separator), **sizes)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each row."""
        chosen = self.predict_proba(X).argmax(axis=1)  # first, so that an unfitted one says so
        return self.classes_[chosen]

    @property
    def token_limit(self) -> int:
        """Return the number of tokens per text. It is `max_length`, or the model's own limit if that is less."""
        built_for = getattr(self.model_.config, "max_position_embeddings", None) or self.max_length
        return int(min(self.max_length, self.tokenizer_.model_max_length, built_for))

    def to_settings(self) -> dict[str, Any]:
        """Return everything but weights and tokenizer, for JSON."""
        return {
            "classes": self.classes_.tolist(),
            "separator": self.separator,
            "max_length": self.token_limit,
            "batch_size": self.batch_size,
            "params": self.get_params(deep=False),
        }

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any], model: Any, tokenizer: Any) -> Self:
        """Return a fitted estimator from saved settings, weights and tokenizer."""
        estimator = cls(**settings["params"])
        estimator.model_, estimator.tokenizer_ = model, tokenizer
        estimator.classes_ = as_classes(settings["classes"])
        model.to(estimator._torch_device()).eval()
        return estimator

    def _fine_tune(self, texts: list[str], targets: NDArray[np.int64], seed: int) -> list[dict[str, float]]:
        import torch

        encoded = encode_texts(self.tokenizer_, texts, self.token_limit)
        logger.info(
            "fine-tuning %s on %d texts (%d to %d tokens), %d epochs in batches of %d, on %s with %d threads",
            self.checkpoint,
            len(texts),
            min(map(len, encoded)),
            max(map(len, encoded)),
            self.epochs,
            self.batch_size,
            self.model_.device,
            torch.get_num_threads(),
        )
        schedule = FineTuning(self.epochs, self.batch_size, self.learning_rate, self.weight_decay, self.warmup, seed)
        rows, held_out = self._divide(targets, seed)
        train, validation = (
            EncodedTexts([encoded[row] for row in part], targets[part]) if len(part) else None
            for part in (rows, held_out)
        )
        assert train is not None
        return fine_tune(self.model_, self.tokenizer_, train, validation, schedule)

    def _divide(self, targets: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        rows = np.arange(len(targets))
        if self.validation_fraction is None:
            return rows, rows[:0]
        from sklearn.model_selection import train_test_split

        train, held_out = train_test_split(
            rows, test_size=self.validation_fraction, random_state=seed, stratify=targets
        )
        return train, held_out

    def _torch_device(self) -> Any:
        import torch

        if self.device != "auto":
            return torch.device(self.device)
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
