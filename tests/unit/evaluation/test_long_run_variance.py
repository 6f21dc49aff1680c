import numpy as np
import pytest
from support.series import autoregressive

from waterflow.evaluation.long_run_variance import autoregressive_variance, cosine_variance, optimal_block_length


@pytest.mark.parametrize(
    ("memory", "count", "seed", "length"),
    [
        (0.0, 20, 0, 1.5533582018835916),
        (0.5, 60, 1, 3.1426783002343),
        (0.7, 365, 2, 8.548375252142062),
        (0.9, 120, 3, 11.07716490716559),
        (-0.4, 200, 4, 5.2998438176956615),
    ],
)
def test_block_lengths_are_those_of_the_package_arch(memory: float, count: int, seed: int, length: float) -> None:
    """Computed once by arch 8.0.0, `optimal_block_length`, column `circular`."""
    assert optimal_block_length(autoregressive(memory, count, seed)) == pytest.approx(length, rel=1e-9)


def test_a_constant_series_has_blocks_of_one() -> None:
    """There is no autocorrelation to keep."""
    assert optimal_block_length(np.ones(20)) == 1


def test_the_cosine_estimator_is_the_long_run_variance() -> None:
    """On average, and on long series that of the sum."""
    series = [autoregressive(0.5, 400, seed) for seed in range(200)]
    found = np.mean([cosine_variance(values - values.mean(), 20) for values in series])
    assert found == pytest.approx(400 / (1 - 0.5) ** 2, rel=0.1)


@pytest.mark.parametrize(("memory", "count"), [(0.0, 20), (0.5, 20), (0.5, 60), (0.7, 60), (0.7, 365)])
def test_an_autoregression_has_the_variance_of_its_sum(memory: float, count: int) -> None:
    """On average, or more, for few values cannot rule out that they remember longer."""
    simulated = [autoregressive(memory, count + 50, seed)[50:] for seed in range(2000)]
    actual = np.var([series.sum() for series in simulated])
    estimated = np.mean([autoregressive_variance(series - series.mean()) for series in simulated])
    assert 0.9 * actual < estimated < 2 * actual


def test_a_series_too_short_to_correlate_has_independent_terms() -> None:
    """And one without differences has no variance."""
    assert autoregressive_variance(np.array([1.0, -2.0, 1.0])) == 6
    assert autoregressive_variance(np.zeros(20)) == 0
