from pathlib import Path

import pandas as pd
import pytest

from waterflow.data.canonical import canonical_order, read_parquet, write_parquet
from waterflow.data.packaged import iris
from waterflow.provenance import sha256_of

DATED = iris().assign(day=pd.date_range("2026-01-01", periods=50, tz="UTC").repeat(3))


def digest(frame: pd.DataFrame, folder: Path, time_column: str | None = None) -> str:
    """Give the digest of the rows' canonical Parquet."""
    path = folder / "rows.parquet"
    write_parquet(canonical_order(frame, time_column), path)
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
    assert canonical_order(shuffled, "day")["day"].is_monotonic_increasing


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    """Types and values survive the file."""
    ordered = canonical_order(DATED, "day")
    write_parquet(ordered, tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "rows.parquet"), ordered)
