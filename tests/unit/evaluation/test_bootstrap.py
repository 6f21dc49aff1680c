import numpy as np
import pytest

from waterflow.evaluation.bootstrap import Units, draw_weights, resample_counts, resample_sums


def test_rows_are_drawn_within_their_stratum() -> None:
    """Every resample has as many rows of each stratum as there are."""
    strata = np.array([0, 1, 1, 0, 2, 1])
    for weights in draw_weights(Units(6, strata=strata), 50, np.random.default_rng(0)):
        assert (np.array([weights[:, strata == name].sum(axis=1) for name in range(3)]).T == [2, 3, 1]).all()


@pytest.mark.parametrize("rows", [50, 5000])
@pytest.mark.parametrize("columns", [1, 2, 3])
def test_sums_have_the_moments_of_drawing_rows(rows: int, columns: int) -> None:
    """Mean and covariance of resampled sums are those of drawing single rows, in closed form."""
    table = np.random.default_rng(1).gamma(2.0, size=(rows, columns))
    sums = resample_sums(table, Units(rows), 1500, np.random.default_rng(2))
    assert sums.shape == (1500, columns)
    spread = np.sqrt(rows) * table.std(axis=0)
    assert np.abs(sums.mean(axis=0) - table.sum(axis=0)).max() < 5 * spread.max() / np.sqrt(1500)
    assert sums.std(axis=0) == pytest.approx(spread, rel=0.1)
    if columns == 2:
        correlation = np.corrcoef(sums.T)[0, 1]
        assert correlation == pytest.approx(np.corrcoef(table.T)[0, 1], abs=0.12)


def test_many_rows_keep_their_strata() -> None:
    """Sums of an indicator of the stratum never vary."""
    strata = (np.arange(6000) % 3 == 0).astype(int)
    sums = resample_sums(strata[:, None].astype(float), Units(6000, strata=strata), 50, np.random.default_rng(0))
    assert (sums == 2000).all()


def test_counts_keep_their_strata() -> None:
    """Cells of one stratum are drawn as often as the stratum has rows."""
    cells, strata = np.array([0, 0, 1, 2, 3, 3]), np.array([0, 0, 0, 1, 1, 1])
    counts = resample_counts(cells, Units(6, strata=strata), 100, np.random.default_rng(0))
    assert (counts[:, :2].sum(axis=1) == 3).all()
    assert (counts[:, 2:].sum(axis=1) == 3).all()


def test_a_cluster_comes_whole() -> None:
    """Two rows of one cluster are always drawn equally often."""
    sums = resample_sums(np.eye(4), Units(4, clusters=np.array([0, 1, 0, 1])), 100, np.random.default_rng(0))
    assert (sums[:, 0] == sums[:, 2]).all()
    assert (sums[:, :2].sum(axis=1) == 2).all()
