"""What the rows of a ledger say when they are read one after the other: who was champion, and what does not follow."""

from collections.abc import Sequence
from datetime import datetime

from waterflow.records import Decision


def reigning(entries: Sequence[Decision], moment: datetime | None = None) -> Decision | None:
    """Give the row that made the champion of a moment, or of now: the last one that changed it; None before any."""
    changes = [
        row for row in entries if row.from_version != row.to_version and (moment is None or row.decided_at <= moment)
    ]
    return changes[-1] if changes else None


def champion_before(entries: Sequence[Decision]) -> int | None:
    """Give the version that the present champion took the place of; None where there was none."""
    change = reigning(entries)
    return change.from_version if change else None


def rolled_back(entries: Sequence[Decision]) -> dict[int, Decision]:
    """Give the versions that were taken out of the champion's place by a rollback and have not come back."""
    found: dict[int, Decision] = {}
    for row in entries:
        if row.kind == "rollback" and row.from_version is not None:
            found[row.from_version] = row
        if row.to_version is not None:
            found.pop(row.to_version, None)
    return found


def problems(entries: Sequence[Decision], alias: int | None, versions: set[int], *, projected: bool) -> list[str]:
    """Replay the rows and hold the registry against them; each thing that does not follow is one line.

    `alias` is the version that the registry calls champion, `versions` are those that it has; `projected` says that
    the alias was once seen to follow the last change.
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
        if row.kind in ("hold", "reject") and row.to_version != row.from_version:
            found.append(f"row {number} is a {row.kind} and yet moves the champion to {_version(row.to_version)}")
        if number > 1 and row.decided_at < entries[number - 2].decided_at:
            found.append(f"row {number} is older than the one before it")
        champion = row.to_version
    if champion is not None and champion not in versions:
        found.append(f"champion version {champion} is no longer in the registry")
    if alias != champion:
        change = reigning(entries)
        if change is not None and not projected and alias == change.from_version:
            found.append(
                f"row {change.sequence} made {_version(champion)} champion, but the alias still is on "
                f"{_version(alias)}; run the step promote again to finish it"
            )
        else:
            found.append(
                f"the alias champion is on {_version(alias)}, but the ledger's champion is {_version(champion)}: "
                "it was moved by hand; the next run notes that, and judges against the model that is there"
            )
    return found


def _version(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
