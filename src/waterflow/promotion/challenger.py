"""The challenger: fits of the winner's recipe. Their predictions of the holdout are compared."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.data.columns import weights_of
from waterflow.nested_fits import refit
from waterflow.promotion.opponents import Holdout
from waterflow.promotion.predictions import predict_holdout
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.training import FitRows, Trained
from waterflow.resources import Resources
from waterflow.scoring.metrics import Predicted

ALL_BUT_HOLDOUT = FitRows(parts=("train", "validation"))


def fit_challenger(
    prepared: Prepared, config: PipelineConfig, winner: Trained, holdout: Holdout, resources: Resources
) -> tuple[Trained, ...]:
    """Fit the winner's recipe on the rows outside the holdout.

    Where rows are split by time, it is fitted by rolling origins. The result is empty where the winner's own fit has
    these rows already. Validation rows have done their work once they chose the recipe, so the model that is compared
    learns from them, too. A strategy with folds has fitted all rows outside the holdout; one that selects on the
    holdout never promotes.
    """
    if config.strategy.select_on == "test" or winner.fitted_on == ALL_BUT_HOLDOUT:
        return ()
    if config.split_kind == "time":
        starts = origin_starts(holdout.rows[config.time_column], config.promotion.origins)
        chosen = [FitRows(parts=(), before=start) for start in starts]
        roles = [f"origin {number}" for number in range(1, len(chosen) + 1)]
    elif config.strategy.select_on == "validation":
        chosen, roles = [ALL_BUT_HOLDOUT], ["refit"]
    else:
        return ()
    return tuple(
        refit(prepared, config, winner, rows, role, resources) for rows, role in zip(chosen, roles, strict=True)
    )


def fit_served(prepared: Prepared, config: PipelineConfig, evaluated: Evaluated, resources: Resources) -> Trained:
    """Fit the serving model on all rows of the window. Without a time split it is the one that was compared."""
    if config.serves == "judged" or not evaluated.compared:
        return evaluated.challenger
    return refit(prepared, config, evaluated.winner, FitRows(parts=()), "serving", resources)


def origin_starts(times: pd.Series, origins: int) -> list[datetime]:
    """Return the first moments of blocks of equal size.

    Size is the number of rows; equal times never fall into two blocks.
    """
    moments = pd.DatetimeIndex(pd.to_datetime(times, utc=True)).sort_values()
    positions = [len(moments) * number // origins for number in range(origins)]
    return [moment.to_pydatetime() for moment in moments[positions].unique()]


def predict_challenger(
    fits: Sequence[Trained], config: PipelineConfig, holdout: Holdout, resources: Resources
) -> Predicted:
    """Predict the held-out rows.

    All with the only fit, or each block of time with the fit that knows what came before. `fits` are ordered by the end
    of their rows, and each predicts the rows from there to the end of the next one's.
    """
    rows = holdout.rows
    if len(fits) == 1:
        return predict_holdout(resources.models.load_model(fits[0].model_id, config.name), rows, config)
    times = pd.to_datetime(rows[config.time_column], utc=True)
    starts = pd.DatetimeIndex([fit.fitted_on.before for fit in fits])
    blocks = np.searchsorted(starts, pd.DatetimeIndex(times), side="right") - 1
    predicted = [
        (
            blocks == number,
            predict_holdout(resources.models.load_model(fit.model_id, config.name), rows[blocks == number], config),
        )
        for number, fit in enumerate(fits)
        if (blocks == number).any()
    ]
    return _combine(predicted, rows[config.target].to_numpy(), weights_of(rows, config))


def _combine(
    predicted: Sequence[tuple[np.ndarray, Predicted]], truth: np.ndarray, weights: pd.Series | None
) -> Predicted:
    """Join predictions of disjoint rows. A class that one fit does not know has probability 0 there."""
    classes = tuple(dict.fromkeys(name for _, part in reversed(predicted) for name in part.classes))
    joined = np.empty(len(truth), dtype=np.result_type(*(part.prediction.dtype for _, part in predicted)))
    has_probabilities = all(part.probabilities is not None for _, part in predicted)
    probabilities = np.zeros((len(truth), len(classes))) if has_probabilities else None
    for mask, part in predicted:
        joined[mask] = part.prediction
        if probabilities is not None and part.probabilities is not None:
            columns = [classes.index(name) for name in part.classes]
            probabilities[np.ix_(np.flatnonzero(mask), np.asarray(columns))] = part.probabilities
    return Predicted(truth, joined, classes, probabilities, None if weights is None else weights.to_numpy())
