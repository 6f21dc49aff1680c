"""Which version is to answer, by ledger and alias."""

from dataclasses import dataclass
from datetime import UTC, datetime

from waterflow.ledger.replay import is_champion, last_change
from waterflow.records.promotion import Decision
from waterflow.resources import Resources
from waterflow.tracking.registry import CHAMPION, Version


@dataclass(frozen=True)
class CurrentChampion:
    """The version that is to answer. `row` is the decision that made it champion, None for an alias moved by hand."""

    version: Version
    row: Decision | None

    @property
    def moved_by_hand(self) -> bool:
        """Whether something other than a decision made it champion."""
        return self.row is None or self.row.kind == "manual"

    @property
    def effective_at(self) -> datetime | None:
        """The earliest moment at which it may answer. None without a decision."""
        return self.row.champion_since if self.row else None


def find_champion(pipeline: str, resources: Resources, *, is_registered: bool) -> CurrentChampion | None:
    """Return who is to answer for a pipeline. None without a champion.

    A decision counts before the alias has followed it. An alias that is elsewhere after it had followed was moved by
    hand, and is followed, unless nothing vouches for the version that it is on. `is_registered` says that MLflow has
    the model; who follows many asks once for all. Raises UnreachableError when a server does not answer, and
    LedgerError where a row does not verify.
    """
    entries = resources.ledger.entries(pipeline)
    row = last_change(entries, datetime.now(UTC))
    alias = resources.registry.find_alias(pipeline, CHAMPION, is_registered=True) if is_registered else None
    identity = (alias.version, alias.model_id) if alias else (None, None)
    if is_champion(row, *identity):
        return CurrentChampion(alias, row) if alias else None
    if row is None or (resources.ledger.is_projected(row) and alias is not None and not alias.problem):
        return CurrentChampion(alias, None) if alias else None
    decided = None if row.to_version is None else resources.registry.get_version(pipeline, row.to_version)
    return CurrentChampion(decided, row) if decided else None
