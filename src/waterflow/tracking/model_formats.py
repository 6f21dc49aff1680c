"""Formats of logged models, between fitted pipelines and files. They lead from one to the other and back."""

import json
import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import cloudpickle
from mlflow import pyfunc
from mlflow.models import Model
from mlflow.models.model import MLMODEL_FILE_NAME
from mlflow.utils import requirements_utils

from waterflow.estimators import served_model

if TYPE_CHECKING:  # scikit-learn takes a second to import, and a run in which nothing is fitted needs none of it
    from sklearn.pipeline import Pipeline

    from waterflow.estimators.bert import BertClassifier


class Format(Protocol):
    """A way to save a fitted pipeline. A model with the file `payload` is of this format."""

    payload: str

    def save(self, pipeline: "Pipeline", folder: Path, description: Model, **given: Any) -> None:
        """Write all files of the model, and complete `description`. MLflow's `MLmodel` is one of them.

        `given` are the keyword arguments that MLflow's flavours share: signature, input_example, pip_requirements.
        """
        ...

    def load(self, folder: Path) -> "Pipeline":
        """Load the fitted pipeline. This runs code of its files, which `ModelStore` verifies before."""
        ...


class Cloudpickled:
    """A pipeline in one pickle, by MLflow's flavour `sklearn`.

    skops takes ten times as long for a forest, and MLflow reads its list of trusted types from the very file that it
    should not trust.
    """

    payload = served_model.MODEL_FILE
    module = "waterflow_model"

    def save(self, pipeline: "Pipeline", folder: Path, description: Model, **given: Any) -> None:
        """See `Format`."""
        import mlflow.sklearn

        mlflow.sklearn.save_model(
            pipeline,
            str(folder),
            mlflow_model=description,
            serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_CLOUDPICKLE,
            **given,
        )
        # The flavour's own `python_function` ignores its parameters, and so gives labels alone.
        _load_by(served_model, self.module, folder, description)

    def load(self, folder: Path) -> "Pipeline":
        """See `Format`."""
        import mlflow.sklearn

        return mlflow.sklearn.load_model(str(folder))


class FineTuned:
    """A pipeline that ends in BERT. Weights are safetensors by MLflow's flavour `transformers`, other steps pickled.

    The flavour's own `python_function` accepts a column named `text` only, truncates no long text and returns a table.
    The code that evaluated the model is saved in its place, in the same folder; it accepts the raw columns.
    """

    payload = "steps.pkl"
    module = "waterflow_text_model"

    def save(self, pipeline: "Pipeline", folder: Path, description: Model, **given: Any) -> None:
        """See `Format`."""
        import mlflow.transformers
        from huggingface_hub import ModelCard
        from sklearn.pipeline import Pipeline

        from waterflow.estimators.bert import inference
        from waterflow.estimators.calibrated import unwrap_estimator

        estimator: BertClassifier = unwrap_estimator(pipeline[-1])
        # Without a card MLflow asks the hub for the checkpoint's.
        card = ModelCard(f"---\nlicense: other\n---\nFine-tuned by Waterflow from {estimator.checkpoint}.\n")
        with inference.quietly():
            mlflow.transformers.save_model(
                {"model": estimator.model_, "tokenizer": estimator.tokenizer_},
                str(folder),
                task="text-classification",
                model_card=card,
                mlflow_model=description,
                **given,
            )
        steps = Pipeline([*pipeline.steps[:-1], (pipeline.steps[-1][0], inference.remove_estimator(pipeline[-1]))])
        (folder / inference.STEPS_FILE).write_bytes(cloudpickle.dumps(steps))
        (folder / inference.SETTINGS_FILE).write_text(json.dumps(estimator.to_settings(), indent=2), "utf-8")
        _load_by(inference, self.module, folder, description)

    def load(self, folder: Path) -> "Pipeline":
        """See `Format`."""
        from sklearn.pipeline import Pipeline

        from waterflow.estimators.bert import BertClassifier, inference

        loaded = inference.TextModel(folder)
        name, decision = loaded.steps.steps[-1]
        estimator = BertClassifier.from_settings(loaded.settings, loaded.model, loaded.tokenizer)
        return Pipeline([*loaded.steps.steps[:-1], (name, inference.insert_estimator(decision, estimator))])


def _load_by(loader: ModuleType, name: str, folder: Path, description: Model) -> None:
    """Let `python_function` load a model by a copied module."""
    (folder / "code").mkdir()
    shutil.copy(str(loader.__file__), folder / "code" / f"{name}.py")
    flavor = description.flavors[pyfunc.FLAVOR_NAME]
    flavor |= {pyfunc.MAIN: name, pyfunc.CODE: "code"}
    flavor.pop(pyfunc.DATA, None)
    flavor.pop("model_path", None)
    description.save(str(folder / MLMODEL_FILE_NAME))


CLOUDPICKLED, FINE_TUNED = Cloudpickled(), FineTuned()
FORMATS: tuple[Format, ...] = (CLOUDPICKLED, FINE_TUNED)


def format_of(pipeline: "Pipeline") -> Format:
    """Return the format for a fitted pipeline."""
    from waterflow.estimators.bert import BertClassifier
    from waterflow.estimators.calibrated import unwrap_estimator

    return FINE_TUNED if isinstance(unwrap_estimator(pipeline[-1]), BertClassifier) else CLOUDPICKLED


@contextmanager
def without_advice() -> Iterator[None]:
    """Silence MLflow's advice on pickles, integer columns and unknown licences."""
    loggers = [logging.getLogger(name) for name in ("mlflow.sklearn", "mlflow.transformers")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def without_package_map() -> Iterator[None]:
    """Keep MLflow from reading the metadata of all installed packages. It takes half a second in each process.

    It looks up the package of each module to infer requirements; ours are given, and it still compares their versions
    with those that are installed.
    """
    known = requirements_utils._MODULES_TO_PACKAGES
    requirements_utils._MODULES_TO_PACKAGES = known or {}
    try:
        yield
    finally:
        requirements_utils._MODULES_TO_PACKAGES = known
