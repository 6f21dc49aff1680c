"""The chain of a ledger's rows. Each row names the digest of the row before it, and is signed.

The digest of a row is the sha256 of a JSON object: the name of its table and, by name, every column but the signature.
Keys are sorted, nothing is indented, times are ISO 8601 in UTC with six decimals, whole numbers in columns of floats
have a decimal point. No two rows share that text. `previous_digest` is one of the columns; the first row of a model has
the digest of the ledger's id, the table and the model there. So a row cannot be moved to another place, model, table or
ledger, and nothing before it changes unnoticed.

Signed is the digest, as a statement about the model and the ledger's id with the row's number. A signature vouches for
all rows before it, since `previous_digest` leads to them. A row that no trusted key signed counts only when a signed
row follows it in the chain: a person accepted it, or it is from before rows were signed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from waterflow.errors import SignatureError
from waterflow.provenance.hashing import digest_of
from waterflow.provenance.signing import Keyring, Statement, key_id_of

Columns = Mapping[str, Any]


@dataclass(frozen=True)
class Chain:
    """One model's rows of one table, of one ledger."""

    ledger: str
    table: str
    model: str

    @property
    def genesis(self) -> str:
        """The digest that the first row names."""
        return digest_of({"ledger": self.ledger, "table": self.table, "model": self.model})

    def digest(self, columns: Columns, previous: str) -> str:
        """Return the digest of a row. A row from before signatures names no predecessor, so `previous` stands in."""
        named = {name: _plain(value) for name, value in columns.items() if name != "signature"}
        named["previous_digest"] = named.get("previous_digest") or previous
        return digest_of({"table": self.table, "columns": named})

    def statement(self, sequence: int, digest: str) -> Statement:
        """Return what the signature of a row says."""
        return Statement(self.table, self.model, f"{self.ledger}/{sequence}", digest)


class Link(NamedTuple):
    """A row in its chain. `unsigned` says why no trusted key vouches for it by itself; empty when one does."""

    sequence: int
    digest: str
    is_linked: bool
    signature: str | None
    unsigned: str


class Breaks(NamedTuple):
    """What is wrong with a chain, a line each. `notes` are what a person or an earlier release accounts for."""

    problems: list[str]
    notes: list[str]


def link_rows(rows: Sequence[Columns], chain: Chain, keys: Keyring) -> list[Link]:
    """Return each row's digest, and whether it verifies."""
    links: list[Link] = []
    for row in rows:
        previous = links[-1].digest if links else chain.genesis
        digest = chain.digest(row, previous)
        is_linked = row["previous_digest"] in (None, previous)
        unsigned = why_unsigned(chain.statement(row["sequence"], digest), row["signature"], keys)
        links.append(Link(row["sequence"], digest, is_linked, row["signature"], unsigned))
    return links


def find_breaks(links: Sequence[Link]) -> Breaks:
    """Return what is wrong with linked rows."""
    problems = list(_find_gaps(links))
    notes: list[str] = []
    voucher: Link | None = None  # the signed row from which all links down to the present row hold
    for link in reversed(links):
        if not link.unsigned:
            voucher = link
            if not link.is_linked:
                problems.append(
                    f"row {link.sequence} was signed after another row than the one that is before it now: rows were "
                    "edited, removed or reordered there"
                )
                voucher = None
        elif voucher is None:
            problems.append(f"row {link.sequence} is not one of this ledger's: {link.unsigned}")
        else:
            why = link.unsigned if link.signature else "it is from before rows were signed"
            notes.append(f"row {link.sequence} counts because row {voucher.sequence} vouches for it: {why}")
            voucher = voucher if link.is_linked else None
    return Breaks(sorted(problems, key=_row_of), notes[::-1])


def _find_gaps(links: Sequence[Link]) -> Iterator[str]:
    for number, link in enumerate(links, start=1):
        if link.sequence != number:
            yield f"row {number} is missing: the next one has number {link.sequence}"
            return


def _row_of(line: str) -> int:
    return int(line.split()[1])


def why_unsigned(statement: Statement, signature: str | None, keys: Keyring) -> str:
    """Return why no trusted key vouches for a statement. The text is empty when one does."""
    if signature is None:
        return "it is not signed"
    try:
        keys.verify(statement, signature)
    except SignatureError:
        key_id = signature.partition(":")[0]
        if key_id in {key_id_of(key) for key in keys.public_keys}:
            return "it was altered, or its signature is that of something else"
        return f"it is signed with {key_id[:16]!r}, which is no key that is trusted here"
    return ""


def _plain(value: Any) -> Any:
    """Return a column's value as JSON has it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value.hex() if isinstance(value, bytes) else value
