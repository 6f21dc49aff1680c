"""Series in time."""

import numpy as np


def autoregressive(memory: float, count: int, seed: int) -> np.ndarray:
    """Simulate a series whose values remember the one before."""
    noise, series = np.random.default_rng(seed).normal(size=count), np.zeros(count)
    for place in range(count):
        series[place] = (memory * series[place - 1] if place else 0) + noise[place]
    return series
