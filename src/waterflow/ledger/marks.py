"""Marks of the ledger's rows in the object store. A row that is gone from the database left its mark there.

A mark is an object whose name has the row's table, model, sequence and digest, and whose content is the row's
signature. It is written once. Whoever cuts rows from the end of the ledger needs the rights to remove objects too.
"""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import quote

from waterflow.errors import SignatureError, StoreError
from waterflow.ledger.chain import Chain, Link
from waterflow.provenance.signing import Keyring
from waterflow.stores.base import ObjectStore, scratch_folder

NAME = re.compile(r"(\d{8,})-([0-9a-f]{64})")


class LedgerMarks:
    """The marks of one ledger in an object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def write(self, chain: Chain, sequence: int, digest: str, signature: str) -> None:
        """Write the mark of a row, unless it is there."""
        with scratch_folder() as folder:
            path = folder / "mark"
            path.write_text(signature, "utf-8")
            self._store.upload(f"{_folder(chain)}{_name(sequence, digest)}", path)

    def find_lost(self, links: Sequence[Link], chain: Chain, keys: Keyring) -> list[str]:
        """Return each difference of marks and rows as a line.

        The newest row may lack its mark: whoever wrote it was stopped before, and the next row's author adds it.
        """
        present = {_name(link.sequence, link.digest) for link in links}
        marks = set(self._list(chain))
        lost = [line for name in sorted(marks - present) for line in self._describe(name, links, chain, keys)]
        signed = [link for link in links[:-1] if not link.unsigned]
        unmarked = [link.sequence for link in signed if _name(link.sequence, link.digest) not in marks]
        return lost + [f"row {number} has lost its mark in {self._store.uri}/{_folder(chain)}" for number in unmarked]

    def _list(self, chain: Chain) -> Iterator[str]:
        for entry in self._store.list_keys(_folder(chain)):
            yield entry.key.removeprefix(_folder(chain))

    def _describe(self, name: str, links: Sequence[Link], chain: Chain, keys: Keyring) -> Iterator[str]:
        matched = NAME.fullmatch(name)
        if matched is None or not self._is_genuine(name, chain, int(matched[1]), matched[2], keys):
            return  # no key of ours made it, so it says nothing about the rows
        sequence = int(matched[1])
        fate = "is gone" if sequence > len(links) else "is another one now"
        yield f"row {sequence} {fate}: {self._store.uri} has the mark of the row that was signed there"

    def _is_genuine(self, name: str, chain: Chain, sequence: int, digest: str, keys: Keyring) -> bool:
        with scratch_folder() as folder:
            try:
                self._store.download(f"{_folder(chain)}{name}", folder / "mark")
                signature = (folder / "mark").read_text("utf-8")
                keys.verify(chain.statement(sequence, digest), signature)
            except (SignatureError, StoreError, UnicodeDecodeError):
                return False
        return True


def _folder(chain: Chain) -> str:
    return f"ledger/{chain.ledger}/{chain.table}/{quote(chain.model, safe='')}/"


def _name(sequence: int, digest: str) -> str:
    return f"{sequence:08d}-{digest}"
