"""The ledger's rows as records, and back."""

from collections.abc import Mapping
from typing import Any

from waterflow.records.data import Blob
from waterflow.records.promotion import Decision, Look
from waterflow.records.run import Window

LINKS = ("previous_digest", "signature")


def decision_columns(decision: Decision) -> dict[str, Any]:
    """Return the columns of a decision."""
    plain = decision.model_dump(exclude={"window", "verdict"})
    window = decision.window or Window()
    verdict = decision.verdict and decision.verdict.to_json()
    return plain | {"window_start": window.start, "window_end": window.end, "verdict": verdict}


def look_columns(look: Look) -> dict[str, Any]:
    """Return the columns of a look."""
    rows = {"rows_key": look.rows.key, "rows_digest": look.rows.digest, "rows_bytes": look.rows.size_bytes}
    return look.model_dump(exclude={"rows"}) | rows


def decision_of(row: Mapping[str, Any]) -> Decision:
    """Return the decision in a row. Raises pydantic's ValidationError when it is none."""
    content = _without_links(row)
    start, end = content.pop("window_start"), content.pop("window_end")
    return Decision.model_validate(content | {"window": Window(start=start, end=end) if start or end else None})


def look_of(row: Mapping[str, Any]) -> Look:
    """Return the look in a row. Raises pydantic's ValidationError when it is none."""
    content = _without_links(row)
    key, digest, size_bytes = (content.pop(f"rows_{name}") for name in ("key", "digest", "bytes"))
    return Look.model_validate(content | {"rows": Blob(key=key, digest=digest, size_bytes=size_bytes)})


def _without_links(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in LINKS}
