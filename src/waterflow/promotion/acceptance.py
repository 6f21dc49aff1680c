"""Acceptance of the ledger's unsigned rows by a person."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from waterflow.errors import LedgerError
from waterflow.promotion.champion_alias import digest_of_model
from waterflow.records.promotion import Decision, Look
from waterflow.resources import Resources
from waterflow.tracking.registry import CHAMPION

logger = logging.getLogger(__name__)


def accept_rows(model: str, reason: str, actor: str, resources: Resources) -> list[str]:
    """Append signed rows that vouch for those before. Returns a line for each.

    The row for decisions says that the champion is the one in the registry, so a forged row makes none. Raises
    LedgerError when there is nothing to accept, or when signed rows were edited, removed or reordered: no row can
    account for that.
    """
    ledger = resources.ledger
    accepted: list[str] = []
    if _is_refused(lambda: ledger.entries(model)):
        row = _accept_decisions(model, reason, actor, resources)
        accepted.append(f"row {row.sequence} vouches for the decisions before it")
    if _is_refused(lambda: ledger.looks(model)):
        look = _accept_looks(model, resources)
        accepted.append(f"row {look.sequence} vouches for the looks before it")
    if not accepted:
        raise LedgerError(f"ledger of {model}: every row verifies; there is nothing to accept")
    logger.warning("%s: %s accepted rows that no trusted key signed: %s", model, actor, reason)
    return accepted


def _is_refused(read: Callable[[], object]) -> bool:
    try:
        read()
    except LedgerError:
        return True
    return False


def _accept_decisions(model: str, reason: str, actor: str, resources: Resources) -> Decision:
    entries = resources.ledger.unverified_entries(model)
    champion = resources.registry.find_alias(model, CHAMPION)
    row = resources.ledger.append(
        entries[-1],
        model=model,
        kind="manual",
        version=champion.version if champion else None,
        to_version=champion.version if champion else None,
        reason=f"rows that no trusted key signed were reviewed: {reason}",
        actor=actor,
        model_id=champion.model_id if champion else None,
        model_digest=digest_of_model(model, champion.model_id, resources) if champion else None,
        accepts_unsigned=True,
    )
    resources.ledger.mark_projected(row)
    return row


def _accept_looks(model: str, resources: Resources) -> Look:
    """Append a look at no rows. The looks before it count, whoever wrote them."""
    import pandas as pd

    from waterflow.promotion.looks import store_identities  # scipy

    sequence = len(resources.ledger.unverified_looks(model)) + 1
    look = Look(
        model=model,
        sequence=sequence,
        evaluation_key=f"acceptance-{sequence}",
        run_id="",
        rows=store_identities(pd.DataFrame(), [], resources),
        row_count=0,
        number=1,
        alpha=0.0,
        looked_at=datetime.now(UTC),
    )
    resources.ledger.append_look(look, accepts_unsigned=True)
    return look
