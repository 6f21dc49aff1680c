"""The variance of a sum over time. Its terms may be autocorrelated."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from waterflow.evaluation.bootstrap import Values

STRONGEST = 0.9


def cosine_variance(series: NDArray[Any], terms: int) -> float:
    """Compute the long-run variance of a sum over time. It follows from the first cosine terms.

    The equal-weighted cosine estimator, whose t-ratio has `terms` degrees of freedom however the series is
    autocorrelated at shorter range (Lazarus, Lewis, Stock and Watson, JBES 36, 2018).
    """
    angles = np.pi * np.outer(np.arange(1, terms + 1), (np.arange(len(series)) + 0.5) / len(series))
    return float(2 * np.mean((np.cos(angles) @ series) ** 2))


def optimal_block_length(series: Values) -> float:
    """Return the length of circular blocks. The rule is that of Politis and White (2004), as corrected in 2009.

    The automatic rule of Econometric Reviews 23, 53-70, with the correction by Patton, Politis and White, 28, 372-375.
    At most a third of the series, which must have at least 8 values.
    """
    count, deviations = len(series), series - series.mean()
    run = max(5, int(np.log10(count)))  # that many small autocorrelations in a row end the memory
    longest = min(int(np.ceil(np.sqrt(count))) + run, count - 2)
    products = np.array([deviations[lag:] @ deviations[: count - lag] for lag in range(longest + 1)])
    squares = deviations**2
    norms = np.sqrt([squares[lag + 1 :].sum() * squares[: -lag - 1].sum() for lag in range(longest + 1)])
    if not norms.all():
        return 1.0
    small = np.abs(products) / norms < 2 * np.sqrt(np.log10(count) / count)
    ends = [lag - run for lag in range(run, longest + 1) if small[lag - run : lag].all()]
    memory = min(2 * max(ends[0], 1) if ends else longest, longest)
    lags = np.arange(1, memory + 1)
    taper = np.clip(2 * (1 - lags / memory), 0, 1) * products[1 : memory + 1] / count
    long_run = products[0] / count + 2 * taper.sum()
    slope = 2 * (lags * taper).sum()
    optimal = (1.5 * count * slope**2 / long_run**2) ** (1 / 3)
    return float(min(optimal, np.ceil(min(3 * np.sqrt(count), count / 3))))


def autoregressive_variance(series: NDArray[Any]) -> float:
    """Compute the variance of a sum. Its terms follow an autoregression of order 1.

    The correlation of neighbours, which short series understate, is corrected by Kendall's rule (Biometrika 41, 1954)
    and kept between 0 and 0.9; so is the variance around the mean, which autocorrelation makes too small. The series,
    shape (periods,), must sum to 0.
    """
    count, squares = len(series), float(series @ series)
    if count < 4 or not squares:
        return squares
    observed = float(series[1:] @ series[:-1]) / squares
    correlation = min(max((observed * count + 1) / (count - 3), 0.0), STRONGEST)
    lags = np.arange(1, count)
    inflation = 1 + 2 * float(((1 - lags / count) * correlation**lags).sum())
    return squares * count / (count - 1) * inflation / (1 - (inflation - 1) / (count - 1))
