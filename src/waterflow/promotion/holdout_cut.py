"""Where the holdout of dated rows begins. Neither the recipe nor the champion has seen its rows."""

from datetime import UTC, datetime

import pandas as pd

from waterflow.config.schema import PipelineConfig
from waterflow.records.data import HoldoutCut
from waterflow.records.run import Window
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import HOLDOUT_START, MODEL_ID, ROWS_UNTIL, WINDOW_END

# Of the rows before the cut at least this share of all must be left to learn from.
LEAST_LEARNT = 0.2
LEAST_DAYS = 8  # fewer blocks of time decide nothing, so new rows must cover as many days


def choose_cut(
    frame: pd.DataFrame, config: PipelineConfig, window: Window | None, champion: Version | None
) -> HoldoutCut | None:
    """Choose the cut of a window's rows by the champion.

    None for rows that are not split by time. With enough rows after the champion's, these are held out. With too few,
    the window is the champion's own, and so is the cut. Without a champion, for a window that ends before the
    champion's, and for a strategy that only explores, the latest slice is held out.
    """
    if config.split_kind != "time":
        return None
    if champion is None or not config.strategy.promotable or _ends_before(window, champion):
        return HoldoutCut(kind="latest")
    until, start = (_moment(champion, name) for name in (ROWS_UNTIL, HOLDOUT_START))
    cut = HoldoutCut(kind="latest", champion_version=champion.version, champion_model_id=champion.tags.get(MODEL_ID))
    moments = pd.to_datetime(frame[config.time_column], utc=True)
    if until is not None:
        new = moments[moments > until]
        is_enough = len(new) >= config.evidence.min_rows and new.dt.floor("D").nunique() >= LEAST_DAYS
        if is_enough and _leaves_enough(moments, until):
            return cut.model_copy(update={"kind": "new", "start": new.min().to_pydatetime()})
    if start is not None and _leaves_enough(moments, start):
        return cut.model_copy(update={"kind": "recorded", "start": start})
    return cut


def describe_champion(champion: Version | None) -> str:
    """Return the champion's part in the choice of a cut. It is an input of the key of `prepare`."""
    if champion is None:
        return "none"
    names = (MODEL_ID, ROWS_UNTIL, HOLDOUT_START, WINDOW_END)
    return ", ".join([f"version {champion.version}", *(champion.tags.get(name, "–") for name in names)])


def _ends_before(window: Window | None, champion: Version) -> bool:
    theirs = _moment(champion, WINDOW_END)
    return window is not None and window.end is not None and theirs is not None and window.end < theirs


def _leaves_enough(moments: pd.Series, cut: datetime) -> bool:
    return bool((moments <= cut).mean() >= LEAST_LEARNT)


def _moment(version: Version, name: str) -> datetime | None:
    text = version.tags.get(name)
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
