from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from waterflow.data.canonical import by_time_then_hash, canonical_order, read_parquet, write_parquet
from waterflow.datasets.loaders import iris
from waterflow.provenance.hashing import sha256_of

DATED = iris().assign(day=pd.date_range("2026-01-01", periods=50, tz="UTC").repeat(3))


def digest(frame: pd.DataFrame, folder: Path, time_column: str | None = None) -> str:
    """Return the digest of the rows' canonical Parquet."""
    path = folder / "rows.parquet"
    write_parquet(canonical_order(frame, time_column, sorted(frame.columns)), path)
    return sha256_of(path)


@pytest.mark.parametrize("time_column", [None, "day"])
def test_the_digest_does_not_depend_on_the_order_of_rows(tmp_path: Path, time_column: str | None) -> None:
    """A database gives its rows in whatever order it likes."""
    shuffled = DATED.sample(frac=1, random_state=3)
    assert digest(DATED, tmp_path, time_column) == digest(shuffled, tmp_path, time_column)


def test_the_digest_changes_with_one_value(tmp_path: Path) -> None:
    """A corrected cell is another version of the data."""
    changed = DATED.copy()
    changed.loc[7, "petal_width_cm"] += 0.1
    assert digest(DATED, tmp_path) != digest(changed, tmp_path)


def test_the_digest_changes_with_one_row_more(tmp_path: Path) -> None:
    """A row that stands twice counts twice."""
    assert digest(DATED, tmp_path) != digest(pd.concat([DATED, DATED.iloc[:1]]), tmp_path)


def test_rows_are_ordered_by_time_first() -> None:
    """What is read back is in the order in which it happened."""
    shuffled = DATED.sample(frac=1, random_state=3)
    assert canonical_order(shuffled, "day", ["species"])["day"].is_monotonic_increasing


def test_rows_of_one_identity_are_ordered_by_their_other_columns() -> None:
    """A key may stand twice, and the bytes must not depend on which came first."""
    rows = pd.DataFrame({"id": [1, 1, 1, 2], "note": ["c", "a", "b", "d"]})
    ordered = [canonical_order(rows.sample(frac=1, random_state=seed), None, ["id"]) for seed in range(5)]
    assert all(entry.equals(ordered[0]) for entry in ordered)


def test_a_column_beside_the_identity_moves_no_row() -> None:
    """The day of an export changes with every file."""
    names = ["petal_length_cm", "petal_width_cm", "sepal_length_cm", "sepal_width_cm"]
    flowers = iris().drop_duplicates(names)
    first, second = (
        canonical_order(flowers.assign(exported=day), None, names).drop(columns="exported") for day in ("1", "2")
    )
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("moments", [1, 7, 500])
@pytest.mark.parametrize("hashes", [1 << 63, 3], ids=["far apart", "alike but for their last bits"])
def test_the_fast_order_is_the_plain_one(moments: int, hashes: int) -> None:
    """Whatever share of a hash fits beside the moment."""
    chance = np.random.default_rng(moments)
    times = chance.integers(0, moments, 500)
    drawn = chance.integers(0, hashes, 500, dtype=np.uint64)
    found, plain = by_time_then_hash(times, drawn), np.lexsort((drawn, times))
    assert (times[found] == times[plain]).all()
    assert (drawn[found] == drawn[plain]).all()


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """Types and values survive the file."""
    ordered = canonical_order(DATED, "day", ["species"])
    write_parquet(ordered, tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "rows.parquet"), ordered)
