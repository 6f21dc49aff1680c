"""Use of cores. They go to an estimator's threads or to parallel fits."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from waterflow.errors import ConfigError

# Scikit-learn's estimators that use OpenMP without a parameter for it.
OPENMP = ("HistGradientBoosting",)
ROWS_PER_THREAD = 2_000


def count_threads(environment: Mapping[str, str] | None = None) -> int:
    """Return how many cores one fit may use.

    `WATERFLOW_THREADS` decides, else `OMP_NUM_THREADS`, else all cores of this process. Raises ConfigError on a value
    that is no whole number above 0.
    """
    environment = os.environ if environment is None else environment
    for name in ("WATERFLOW_THREADS", "OMP_NUM_THREADS"):
        value = environment.get(name)
        if value:
            if not value.isdecimal() or int(value) == 0:
                raise ConfigError(f"{name}: {value!r} is no number of threads; write it like 2, or leave it out")
            return int(value)
    import joblib

    return int(joblib.cpu_count())  # of this process: a container or a mask may leave it fewer than the machine has


def useful_threads(threads: int, rows: int) -> int:
    """Return how many threads the rows keep busy. On few rows, threads only wait."""
    return min(threads, 1 + rows // ROWS_PER_THREAD)


def is_single_threaded(estimator: Any) -> bool:
    """Return whether fits of an estimator may run in parallel. Unknown ones are taken to use threads.

    The `n_jobs` of linear models distributes classes at best, and most of them ignore it.
    """
    module, name = type(estimator).__module__, type(estimator).__name__
    if not module.startswith("sklearn.") or name.startswith(OPENMP):
        return False
    return module.startswith("sklearn.linear_model") or "n_jobs" not in estimator.get_params(deep=False)


@contextmanager
def given_threads(estimator: Any, threads: int) -> Iterator[None]:
    """Set `n_jobs` during a fit. It is left alone where the estimator lacks it or the YAML sets it.

    Afterwards it is reset, so that neither run nor model depends on the number of cores.
    """
    params = estimator.get_params(deep=False)
    if is_single_threaded(estimator) or "n_jobs" not in params or params["n_jobs"] is not None:
        yield
        return
    estimator.set_params(n_jobs=threads)
    try:
        yield
    finally:
        estimator.set_params(n_jobs=None)


@contextmanager
def limited_threads(threads: int) -> Iterator[None]:
    """Limit OpenMP to `threads`, and linear algebra to one.

    Small matrix products lose more than they gain from threads, and the order of sums would make results depend on
    the number of cores.
    """
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    with controller.limit(limits=threads, user_api="openmp"), controller.limit(limits=1, user_api="blas"):
        yield
