"""Agreement of a model with the one that was compared. The model was fitted on more rows."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from waterflow.config.metrics import Task
from waterflow.config.schema import PipelineConfig
from waterflow.plurals import counted
from waterflow.promotion.predictions import columns_of
from waterflow.records.promotion import Check
from waterflow.scoring.metrics import predict_rows


def tabulate(model: Any, rows: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return a model's predictions in the columns of recorded ones.

    They are made of raw rows; the columns are `challenger` and probabilities.
    """
    unknown = pd.Series(np.zeros(len(rows)))  # predictions need no truth
    predicted = predict_rows(model, rows[list(getattr(model, "feature_names_in_", rows.columns))], unknown, task)
    return pd.DataFrame(columns_of("challenger", predicted))


def check_agreement(own: pd.DataFrame, compared: pd.DataFrame, config: PipelineConfig) -> tuple[Check, ...]:
    """Check that two models' predictions agree.

    Checks rank correlation, equal decisions, and that the predictions are not all the same.
    """
    limits, checks = config.promotion.staging, []
    scores = [name for name in own.columns if name in compared.columns and name != "challenger"]
    if config.task == "regression":
        scores = ["challenger"]
    if scores:
        distinct = max(own[name].nunique() for name in scores)
        varies = max(compared[name].nunique() for name in scores) > 1
        actual = f"{counted(distinct, 'distinct value')} on {counted(len(own), 'row')}"
        expected = "more than one, as the compared model"
        checks.append(Check(name="varies", passed=distinct > 1 or not varies, actual=actual, expected=expected))
        correlation = mean_rank_correlation(own[scores], compared[scores])
        passed = correlation is None or correlation >= limits.rank_correlation
        actual = "undefined" if correlation is None else f"{correlation:.3f}"
        expected = f"at least {limits.rank_correlation:g} with the compared model"
        checks.append(Check(name="rank_correlation", passed=passed, actual=actual, expected=expected))
    if config.task == "classification":
        share = float((own["challenger"].to_numpy() == compared["challenger"].to_numpy()).mean())
        actual, expected = f"{share:.3f} of {counted(len(own), 'row')}", f"at least {limits.equal_decisions:g}"
        passed = share >= limits.equal_decisions
        checks.append(Check(name="equal_decisions", passed=passed, actual=actual, expected=expected))
    return tuple(checks)


def mean_rank_correlation(own: pd.DataFrame, compared: pd.DataFrame) -> float | None:
    """Return Spearman's correlation, as a mean over classes. None where either model is constant."""
    usable = [name for name in own if own[name].nunique() > 1 and compared[name].nunique() > 1]
    if not usable:
        return None
    return float(np.mean([stats.spearmanr(own[name], compared[name]).statistic for name in usable]))
