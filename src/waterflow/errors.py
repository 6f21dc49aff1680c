"""What Waterflow raises, and what a caller may do about it.

    WaterflowError
    ├── ConfigError         a setting is wrong: edit the YAML or the override
    ├── DataError           the rows are wrong: edit the data or its declaration
    │   └── ContractError   they break the pipeline's contract; it carries the worst offenders
    ├── FitError            a candidate, or every candidate, could not be trained
    ├── ReproduceError      a version cannot be trained again here: other packages, other code, or a link that is gone
    ├── StoreError          an object is gone, altered, or the store cannot be written
    ├── LedgerError         the ledger's database refused, or cannot answer what it is asked
    │   └── LedgerConflict  another decision on the model came first: read the ledger again
    ├── TrackingError       MLflow refused: wrong password, deleted experiment, unknown model
    └── UnreachableError    a server does not answer: the one kind that is worth a retry

Every message is one line: what is wrong, the value found, what would be valid, what to do next.
"""

from collections.abc import Sequence
from typing import NamedTuple


def first_line(error: object) -> str:
    """Give the first line of what an error says, for messages of one line; empty where it says nothing."""
    return (str(error).strip().splitlines() or [""])[0]


class WaterflowError(Exception):
    """The base of every error that Waterflow raises on purpose."""


class ConfigError(WaterflowError):
    """A configuration value that is missing, unknown or not valid."""


class DataError(WaterflowError):
    """Data that cannot be read, or that cannot be trained on."""


class Break(NamedTuple):
    """A value that breaks a rule of the contract; `row` is its key, empty where a column or all rows are meant."""

    row: str
    column: str
    value: str
    rule: str


class ContractError(DataError):
    """Rows that break the contract in `count` places; `breaks` are the worst of each rule."""

    def __init__(self, message: str, breaks: Sequence[Break] = (), count: int = 0) -> None:
        super().__init__(message)
        self.breaks = tuple(breaks)
        self.count = count


class FitError(WaterflowError):
    """A candidate that could not be fitted, or a run in which none could."""


class ReproduceError(WaterflowError):
    """A version that cannot be trained again here, so that nothing was compared."""


class StoreError(WaterflowError):
    """An object store that cannot be read or written, or an object that is not what it was."""


class LedgerError(WaterflowError):
    """A request that the ledger's database refused, or a question that the ledger has no answer to."""


class LedgerConflict(LedgerError):  # noqa: N818  # it is told apart to be caught, not to be shown
    """A row that cannot be written because another one has taken its place in the sequence."""


class TrackingError(WaterflowError):
    """A request that the tracking server understood and refused."""


class UnreachableError(WaterflowError):
    """A server that does not answer; the same call may work later."""
