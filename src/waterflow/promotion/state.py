"""What a decision rests on. Read from the run, the registry and the ledger."""

from collections.abc import Sequence
from datetime import UTC, datetime

from waterflow.config.schema import PipelineConfig
from waterflow.errors import StoreError
from waterflow.ledger.replay import rolled_back, sum_refreshes
from waterflow.lineage.version_history import VersionHistory
from waterflow.promotion.champion_alias import find_vouched_champion
from waterflow.promotion.rules import PromotionState
from waterflow.records.data import Prepared
from waterflow.records.evaluation import Evaluated
from waterflow.records.promotion import Decision
from waterflow.records.training import Trained
from waterflow.resources import Resources
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import (
    ACTION_KEY,
    DATA_DIGEST,
    DATA_READ_AT,
    MODEL_ID,
    RECIPE,
    SELECTED_MODEL_ID,
    WINDOW_END,
)


def read_state(
    prepared: Prepared, evaluated: Evaluated, config: PipelineConfig, champion: Version | None, resources: Resources
) -> PromotionState:
    """Return the state of a run's winner. It is the state before staging and approval."""
    is_dated = config.time_column is not None
    window_end = prepared.window.end if prepared.window else None
    rows_end = window_end if is_dated else prepared.read_at
    entries = resources.ledger.entries(config.name)
    theirs = champion.tags.get(WINDOW_END if is_dated else DATA_READ_AT) if champion else None
    return PromotionState(
        model=config.name,
        verdict=evaluated.verdict,
        strategy=config.strategy.name,
        is_promotable=config.strategy.promotable,
        gate=evaluated.gate,
        action_key=evaluated.winner.action_key,
        is_dated=is_dated,
        rows_end=rows_end,
        champion_version=champion.version if champion else None,
        champion_model_id=champion.model_id if champion else None,
        champion_rows_end=datetime.fromisoformat(theirs).astimezone(UTC) if theirs else None,
        rolled_back=_rolled_back_fits(config.name, entries, resources),
        needs_approval=config.promotion.approval == "human",
        refresh_margin=config.refresh_margin if is_refresh(prepared, evaluated.recipe, champion) else None,
        refreshed=sum_refreshes(entries),
        shown_champion=evaluated.verdict.champion_version if evaluated.verdict else None,
    )


def _rolled_back_fits(model: str, entries: Sequence[Decision], resources: Resources) -> dict[str, Decision]:
    fits = {}
    for (number, model_id), row in rolled_back(entries).items():
        version = resources.registry.get_version(model, number) if number is not None else None
        if version is not None and model_id in (None, version.model_id) and ACTION_KEY in version.tags:
            fits[version.tags[ACTION_KEY]] = row
    return fits


def find_opponent(model: str, winner: Trained, resources: Resources) -> Version | None:
    """Return the champion as the opponent.

    If it is the winner's own recipe and fit, return the version that it was compared with before.
    """
    champion = find_vouched_champion(model, resources)
    if champion is None or champion.tags.get(SELECTED_MODEL_ID, champion.tags.get(MODEL_ID)) != winner.model_id:
        return champion
    try:
        verdict = VersionHistory(champion, resources).evaluated.verdict
    except StoreError:  # without its records, nobody is known to have been champion before
        return None
    before = verdict.champion_version if verdict else None
    return next((entry for entry in resources.registry.list_versions(model) if entry.version == before), None)


def is_refresh(prepared: Prepared, recipe: str, champion: Version | None) -> bool:
    """Return whether a run refreshes the champion.

    It fits the champion's recipe to other rows, and is compared on rows that are new to both.
    """
    if champion is None or not recipe or champion.tags.get(RECIPE) != recipe:
        return False
    is_recorded = prepared.cut is not None and prepared.cut.is_recorded_by(champion.version)
    return not is_recorded and champion.tags.get(DATA_DIGEST) != prepared.data.digest
