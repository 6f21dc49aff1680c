"""What the rows of a ledger say in order: champions and inconsistencies."""

from collections.abc import Sequence
from datetime import datetime

from waterflow.records.promotion import Decision


def last_change(entries: Sequence[Decision], moment: datetime | None = None) -> Decision | None:
    """Return the last row, up to a moment, that changed the champion."""
    changes = [
        row
        for row in entries
        if row.from_version != row.to_version and (moment is None or row.champion_since <= moment)
    ]
    return changes[-1] if changes else None


def champion_before(entries: Sequence[Decision]) -> int | None:
    """Return the version that the present champion replaced."""
    change = last_change(entries)
    return change.from_version if change else None


def rolled_back(entries: Sequence[Decision]) -> dict[int, Decision]:
    """Return the versions that were rolled back and not restored, with their rows."""
    found: dict[int, Decision] = {}
    for row in entries:
        if row.kind == "rollback" and row.from_version is not None:
            found[row.from_version] = row
        if row.to_version is not None:
            found.pop(row.to_version, None)
    return found


def find_inconsistencies(
    entries: Sequence[Decision], alias: int | None, versions: set[int], *, is_projected: bool
) -> list[str]:
    """Return what does not follow in rows and registry, a line each.

    `alias` is the registry's champion, `versions` are those that it has; `is_projected` says that the alias was once
    seen to follow the last change.
    """
    found: list[str] = []
    champion: int | None = None
    for number, row in enumerate(entries, start=1):
        if row.sequence != number:
            found.append(f"row {number} is missing: the next one has number {row.sequence}")
            return found
        if row.from_version != champion:
            found.append(
                f"row {number} starts from {_version(row.from_version)}, but champion was {_version(champion)}"
            )
        if row.kind in ("hold", "reject", "canary") and row.to_version != row.from_version:
            found.append(f"row {number} is a {row.kind} and yet moves the champion to {_version(row.to_version)}")
        if number > 1 and row.decided_at < entries[number - 2].decided_at:
            found.append(f"row {number} is older than the one before it")
        champion = row.to_version
    if champion is not None and champion not in versions:
        found.append(f"champion version {champion} is no longer in the registry")
    if alias != champion:
        change = last_change(entries)
        if change is not None and not is_projected and alias == change.from_version:
            found.append(
                f"row {change.sequence} made {_version(champion)} champion, but the alias is still on "
                f"{_version(alias)}; run the step promote again to finish it"
            )
        else:
            found.append(
                f"the alias champion is on {_version(alias)}, but the ledger's champion is {_version(champion)}: "
                "it was moved by hand; the next run records that and compares with the model that is there"
            )
    return found


def _version(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
