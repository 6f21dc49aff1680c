"""The rows of a ledger read in order. They yield champions and inconsistencies."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from waterflow.records.promotion import Decision

CHAMPION_KINDS = ("promote", "refresh", "rollback", "manual")


def champion_rows(entries: Sequence[Decision], moment: datetime | None = None) -> list[Decision]:
    """Return the rows that made a champion or left none. Only rows up to a moment count."""
    return [row for row in entries if row.kind in CHAMPION_KINDS and (moment is None or row.champion_since <= moment)]


def last_change(entries: Sequence[Decision], moment: datetime | None = None) -> Decision | None:
    """Return the row that made the champion of a moment. The default is now."""
    rows = champion_rows(entries, moment)
    return rows[-1] if rows else None


def previous_champion(entries: Sequence[Decision]) -> Decision | None:
    """Return the row of the last champion before the present."""
    rows = champion_rows(entries)
    others = [row for row in rows if row.to_version is not None and row.champion != rows[-1].champion]
    return others[-1] if others else None


def is_champion(row: Decision | None, version: int | None, model_id: str | None) -> bool:
    """Return whether a row made this version and model champion.

    Rows from before models had ids are compared by number.
    """
    if row is None or version is None:
        return (row is None or row.to_version is None) and version is None
    return row.to_version == version and row.model_id in (None, model_id)


def rolled_back(entries: Sequence[Decision]) -> dict[tuple[int | None, str | None], Decision]:
    """Return versions and models rolled back and not restored. Each comes with its row."""
    undone: dict[tuple[int | None, str | None], Decision] = {}
    before: Decision | None = None
    for row in champion_rows(entries):
        if row.kind == "rollback" and before is not None:
            undone[before.champion] = row
        undone.pop(row.champion, None)
        before = row
    return undone


def find_reference(entries: Sequence[Decision], version: int, model_id: str | None) -> tuple[int, str | None]:
    """Return version and model of a champion's reference.

    Refreshes are compared with it: the one that last won by being better, or was made champion by hand.
    """
    references: dict[tuple[int, str | None], tuple[int, str | None]] = {}
    reference = (version, model_id)
    for row in champion_rows(entries):
        if row.to_version is None:
            continue
        own = (row.to_version, row.model_id)
        if row.kind != "refresh":
            reference = own if row.kind == "promote" else references.get(own, own)
        references[own] = reference
    return references.get((version, model_id), (version, model_id))


def sum_refreshes(entries: Sequence[Decision]) -> float:
    """Return the sum of the differences of all refreshes. Counts those since a version last won by being better."""
    total = 0.0
    for row in entries:
        if row.kind == "promote":
            total = 0.0
        elif row.kind == "refresh" and row.verdict is not None:
            total += row.verdict.difference or 0.0
    return total


def find_inconsistencies(
    entries: Sequence[Decision], alias: int | None, models: Mapping[int, str], *, is_projected: bool
) -> list[str]:
    """Return inconsistencies of rows and registry, a line each.

    `alias` is the registry's champion, `models` are the logged models that it serves, by version; `is_projected` says
    that the alias was once seen to follow the last change.
    """
    found, champion = _broken_links(entries)
    if any("is missing" in line for line in found):
        return found
    change = last_change(entries)
    served = None if champion is None else models.get(champion)
    if champion is not None and served is None:
        found.append(f"champion version {champion} is no longer in the registry")
    elif change is not None and change.to_version == champion and not is_champion(change, champion, served):
        found.append(
            f"version {champion} is another model now: the registry serves {served}, and row {change.sequence} made "
            f"{change.model_id} champion"
        )
    if alias != champion:
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


def _broken_links(entries: Sequence[Decision]) -> tuple[list[str], int | None]:
    """Return where a row does not follow from its predecessor. Also returns the last champion."""
    found: list[str] = []
    champion: int | None = None
    for number, row in enumerate(entries, start=1):
        if row.sequence != number:
            return [*found, f"row {number} is missing: the next one has number {row.sequence}"], champion
        if row.from_version != champion:
            found.append(
                f"row {number} starts from {_version(row.from_version)}, but champion was {_version(champion)}"
            )
        if row.kind not in CHAMPION_KINDS and row.to_version != row.from_version:
            found.append(f"row {number} is a {row.kind} and yet moves the champion to {_version(row.to_version)}")
        if number > 1 and row.decided_at < entries[number - 2].decided_at:
            found.append(f"row {number} is older than the one before it")
        champion = row.to_version
    return found, champion


def _version(version: int | None) -> str:
    return "no version" if version is None else f"version {version}"
