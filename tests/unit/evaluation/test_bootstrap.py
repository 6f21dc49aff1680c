import numpy as np
import pytest

from waterflow.evaluation.bootstrap import BLOCK, FEW_UNITS, Units, draw_weights, resample_counts, resample_sums


def test_rows_are_drawn_within_their_stratum() -> None:
    """Every resample has as many rows of each stratum as there are."""
    strata = np.array([0, 1, 1, 0, 2, 1])
    for weights in draw_weights(Units(6, strata=strata), 50, np.random.default_rng(0)):
        assert (np.array([weights[:, strata == name].sum(axis=1) for name in range(3)]).T == [2, 3, 1]).all()


@pytest.mark.parametrize("rows", [FEW_UNITS + 1, 20 * BLOCK])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_many_rows_are_drawn_as_few_are(rows: int, columns: int) -> None:
    """Sums drawn by blocks have the mean and the covariance of drawing single rows (exact, in closed form)."""
    table = np.random.default_rng(1).gamma(2.0, size=(rows, columns))
    sums = resample_sums(table, Units(rows), 1500, np.random.default_rng(2))
    assert sums.shape == (1500, columns)
    spread = np.sqrt(rows) * table.std(axis=0)
    assert np.abs(sums.mean(axis=0) - table.sum(axis=0)).max() < 5 * spread.max() / np.sqrt(1500)
    assert sums.std(axis=0) == pytest.approx(spread, rel=0.1)
    if columns == 2:
        correlation = np.corrcoef(sums.T)[0, 1]
        assert correlation == pytest.approx(np.corrcoef(table.T)[0, 1], abs=0.12)


def test_the_last_short_block_has_its_share() -> None:
    """Its rows are drawn as often as any other, within five standard errors."""
    rows = FEW_UNITS + 100
    is_last = (np.arange(rows) >= rows - 100).astype(float)[:, None]
    sums = resample_sums(is_last, Units(rows), 1000, np.random.default_rng(3))
    assert sums.sum() == pytest.approx(100_000, abs=5 * np.sqrt(100_000))


def test_many_rows_keep_their_strata() -> None:
    """Sums of an indicator of the stratum never vary."""
    strata = (np.arange(6000) % 3 == 0).astype(int)
    sums = resample_sums(strata[:, None].astype(float), Units(6000, strata=strata), 50, np.random.default_rng(0))
    assert (sums == 2000).all()


def test_counts_keep_their_strata() -> None:
    """Cells of one stratum are drawn as often as the stratum has rows."""
    cells, strata = np.array([0, 0, 1, 2, 3, 3]), np.array([0, 0, 0, 1, 1, 1])
    counts = resample_counts(cells, 4, Units(6, strata=strata), 100, np.random.default_rng(0))
    assert (counts[:, :2].sum(axis=1) == 3).all()
    assert (counts[:, 2:].sum(axis=1) == 3).all()


def test_a_group_comes_whole() -> None:
    """Two rows of one group are always drawn equally often."""
    table = np.eye(4)
    sums = resample_sums(table, Units(4, groups=np.array([0, 1, 0, 1])), 100, np.random.default_rng(0))
    assert (sums[:, 0] == sums[:, 2]).all()
    assert (sums[:, :2].sum(axis=1) == 2).all()


def test_freedom_counts_units_beyond_their_strata() -> None:
    """One fewer for each stratum, or one fewer than the groups."""
    assert Units(10).freedom == 9
    assert Units(4, strata=np.array([0, 0, 1, 1])).freedom == 2
    assert Units(4, groups=np.array([0, 0, 1, 2])).freedom == 2
