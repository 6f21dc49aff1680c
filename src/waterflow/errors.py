"""Exceptions that Waterflow raises, and what callers may do.

    WaterflowError
    ├── ConfigError         a setting is wrong: edit the YAML or the override
    ├── DataError           the rows are wrong: edit the data or its declaration
    │   └── ContractError   they break the pipeline's contract; it carries the worst offenders
    ├── FitError            a candidate, or every candidate, could not be trained
    ├── ReproduceError      a version cannot be trained again here: other packages or code, or a missing link
    ├── StoreError          an object is gone, altered, or the store cannot be written
    │   └── SignatureError  nobody that is trusted here signed it: it is not loaded
    ├── LedgerError         the ledger's database refused, or has no answer
    │   └── LedgerConflict  another decision on the model came first: read the ledger again
    ├── TrackingError       MLflow refused: wrong password, deleted experiment, unknown model
    ├── MachineError        the machine lacks space, memory or a right: make room, then run again
    └── UnreachableError    a server does not answer: the one kind that is worth a retry

Every message is one line: what is wrong, the value found, what would be valid, what to do next.
"""

from collections.abc import Sequence
from typing import NamedTuple


def first_line(error: object) -> str:
    """Return the first line of an error's message. It is empty if the error has none."""
    return (str(error).strip().splitlines() or [""])[0]


class WaterflowError(Exception):
    """Base class of all errors that Waterflow raises on purpose."""


class ConfigError(WaterflowError):
    """A configuration value that is missing, unknown or not valid."""


class DataError(WaterflowError):
    """Data that cannot be read or trained on."""


class Break(NamedTuple):
    """A value that breaks a rule of the contract. `row` is its key, empty for a column or all rows."""

    row: str
    column: str
    value: str
    rule: str


def merge_breaks(breaks: Sequence[Break]) -> list[Break]:
    """Return one break per row, with all that it breaks. Those of a whole column stay apart."""
    groups: dict[tuple[str, str], list[Break]] = {}
    for entry in breaks:
        groups.setdefault((entry.row, "" if entry.row else entry.column), []).append(entry)
    return [Break(row, *(_join(group, name) for name in Break._fields[1:])) for (row, _), group in groups.items()]


def _join(breaks: Sequence[Break], field: str) -> str:
    """Join one field of breaks. Equal ones of the same column are written once."""
    cells = [(entry.column, getattr(entry, field)) for entry in breaks]
    return "; ".join(value for _, value in dict.fromkeys(cells))


class ContractError(DataError):
    """Rows that break the contract in `count` places. `breaks` holds the worst of each rule."""

    def __init__(self, message: str, breaks: Sequence[Break] = (), count: int = 0) -> None:
        super().__init__(message)
        self.breaks = tuple(breaks)
        self.count = count


class FitError(WaterflowError):
    """A failed fit of one candidate, or of all candidates."""


class ReproduceError(WaterflowError):
    """A version that cannot be trained again here. Therefore nothing was compared."""


class StoreError(WaterflowError):
    """A store that cannot be used, or an altered object."""


class SignatureError(StoreError):
    """A model or record that no trusted key signed."""


class LedgerError(WaterflowError):
    """A request that the ledger's database refused or cannot answer."""


class LedgerConflict(LedgerError):  # noqa: N818  # raised to be caught, not to be shown
    """A row whose place in the sequence is taken. Another row has it."""


class TrackingError(WaterflowError):
    """A request that the tracking server understood and refused."""


class MachineError(WaterflowError):
    """A lack of space, memory or rights. `system_errors` says which."""


class UnreachableError(WaterflowError):
    """A server that does not answer. The same call may work later."""
