"""The digest of three million rows in Parquet, beside reading the same file once.

    waterflow data fetch flights_3m
    python benchmarks/digest.py [--rounds 15] [--data FOLDER]

Two files: the one that is fetched, and the canonical one that `prepare` makes of its rows and stores. Each round reads
a file's bytes, reads its rows (pyarrow, all columns) and takes its digest (`sha256_of`: what a store and the check of a
cached object use), in turns and in another order each time; a ratio is made within a round. Warm: the file was read
just before and lies in the page cache. Cold: the kernel was told to drop its pages before each. A digest looks at every
byte, so beside the mere bytes it costs what sha256 costs.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from waterflow.data.canonical import canonical_order, write_parquet
from waterflow.provenance.hashing import sha256_of

ROOT = Path(__file__).resolve().parents[1]
MOST = 1.2
PIECE = 1 << 20


def read_bytes(path: Path) -> None:
    """Read a file as a copy would."""
    buffer = bytearray(PIECE)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


WAYS: dict[str, Callable[[Path], object]] = {"bytes": read_bytes, "rows": pq.read_table, "digest": sha256_of}


def main() -> None:
    """Measure both files and print a table; exit code 1 where a digest takes more than MOST times reading the rows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15, help="measured rounds (default 15)")
    parser.add_argument("--data", type=Path, default=ROOT / ".waterflow" / "data", help="where the data sets lie")
    asked = parser.parse_args()
    fetched = asked.data / "flights_3m" / "flights-3m.parquet"
    if not fetched.is_file():
        sys.exit("error: the data is not here yet; run `waterflow data fetch flights_3m`")
    print("| file | MB | read bytes | read rows | digest | digest ÷ rows | digest ÷ bytes |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        canonical = Path(name) / "canonical.parquet"
        frame = pd.read_parquet(fetched)
        write_parquet(canonical_order(frame, "date", sorted(frame.columns)), canonical)
        os.sync()  # the kernel drops no page that is not written yet
        ratios = [
            compare(f"{label}, {'cold' if is_cold else 'warm'}", path, asked.rounds, is_cold)
            for label, path in (("fetched", fetched), ("canonical", canonical))
            for is_cold in (False, True)
        ]
    if max(ratios) > MOST:
        sys.exit(f"error: a digest takes {max(ratios):.2f} times reading the rows, more than {MOST}")


def drop(path: Path) -> None:
    """Ask the kernel to forget a file's pages (Linux)."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


def compare(label: str, path: Path, rounds: int, is_cold: bool) -> float:
    """Print a file's row of the table; returns the median ratio of the digest to reading the rows."""
    for way in WAYS.values():
        way(path)
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for number in range(rounds):
        names = list(WAYS)
        for name in names[number % 3 :] + names[: number % 3]:
            if is_cold:
                drop(path)
            started = time.perf_counter()
            WAYS[name](path)
            taken[name].append(time.perf_counter() - started)
    cells = [f"{statistics.median(taken[name]) * 1e3:.1f} ms" for name in WAYS]
    ratios = {
        base: [digest / other for digest, other in zip(taken["digest"], taken[base], strict=True)]
        for base in ("rows", "bytes")
    }
    shown = [f"{statistics.median(found):.2f} ({min(found):.2f}–{max(found):.2f})" for found in ratios.values()]
    print("|", " | ".join([label, f"{path.stat().st_size / 1e6:.1f}", *cells, *shown]), "|")
    return statistics.median(ratios["rows"])


if __name__ == "__main__":
    main()
