"""Loading a champion: verified, unpickled, warmed."""

import logging
from dataclasses import dataclass, field
from typing import Any

from waterflow.data.canonical import read_parquet
from waterflow.errors import StoreError, WaterflowError, first_line
from waterflow.provenance.signing import Keyring
from waterflow.records.serving import Scores
from waterflow.serving.compiled.equality import choose_predictor, plain_columns
from waterflow.serving.predictors import Columns, Predictor
from waterflow.serving.row_checks import RowChecks
from waterflow.serving.state import Assignment
from waterflow.tracking.model_files import load_signed

logger = logging.getLogger(__name__)

WARM_UP = 3
PANDAS = "the pipeline, through pandas"
COMPILED = "compiled, equal to the pipeline on its recorded holdout rows"


@dataclass(frozen=True)
class ServedModel:
    """A loaded version that can answer.

    `threshold` and `positive` are those of its decision, None where labels are the most probable class. `is_fast` says
    that a few rows take less than a millisecond; `path` names the predictor, and why not the fast one.
    """

    assignment: Assignment
    predictor: Predictor = field(repr=False)
    checks: RowChecks = field(repr=False)
    threshold: float | None = None
    positive: Any = None
    classes: tuple[Any, ...] = ()
    is_fast: bool = False
    path: str = PANDAS

    def predict(self, columns: dict[str, list[Any]]) -> Scores:
        """Return the scores of checked rows."""
        return self.predictor.predict(columns)


def load_served(assignment: Assignment, keyring: Keyring) -> ServedModel:
    """Load an assigned version and warm it up.

    Raises StoreError when its files were altered, or when it cannot be loaded or does not answer.
    """
    version = assignment.version
    try:
        pipeline = load_signed(assignment.files, keyring)
        chosen = choose_predictor(pipeline, assignment.features, _read_holdout(assignment), assignment.tolerance)
        served = ServedModel(
            assignment,
            chosen.predictor,
            RowChecks(assignment.features, assignment.contract),
            threshold=_plain(getattr(pipeline[-1], "threshold", None)),
            positive=_plain(getattr(pipeline[-1], "pos_label", None)),
            classes=tuple(_plain(entry) for entry in getattr(pipeline, "classes_", ())),
            is_fast=chosen.is_fast,
            path=f"{PANDAS}: {chosen.reason}" if chosen.reason else COMPILED,
        )
        warm_up(served)
    except WaterflowError:
        raise
    except Exception as error:  # unpickling and predicting run the code of a model, which may raise anything
        raise StoreError(
            f"version {version.version} of {version.pipeline} cannot be loaded: {type(error).__name__}: "
            f"{first_line(error)}"
        ) from error
    return served


def _read_holdout(assignment: Assignment) -> Columns | None:
    if not assignment.holdout.is_file():
        return None
    return plain_columns(read_parquet(assignment.holdout), assignment.features)


def warm_up(served: ServedModel) -> None:
    """Predict the example. First predictions of a process take longer than later ones."""
    example = served.assignment.example
    if not example:
        return
    rows = {feature.name: [example.get(feature.name)] for feature in served.assignment.features}
    checked = RowChecks(served.assignment.features, "warn").check(rows, 1)
    for _ in range(WARM_UP):
        served.predict(checked.columns)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
