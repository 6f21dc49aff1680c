"""Use of cores, either by an estimator's threads or by parallel fits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Scikit-learn's estimators that use OpenMP without a parameter for it.
OPENMP = ("HistGradientBoosting",)
ROWS_PER_THREAD = 2_000


def useful_threads(threads: int, rows: int) -> int:
    """Return how many threads the rows keep busy; on few rows, threads only wait."""
    return min(threads, 1 + rows // ROWS_PER_THREAD)


def is_single_threaded(estimator: Any) -> bool:
    """Return whether fits of an estimator may run in parallel; unknown ones are taken to use threads.

    The `n_jobs` of linear models distributes classes at best, and most of them ignore it.
    """
    module, name = type(estimator).__module__, type(estimator).__name__
    if not module.startswith("sklearn.") or name.startswith(OPENMP):
        return False
    return module.startswith("sklearn.linear_model") or "n_jobs" not in estimator.get_params(deep=False)


@contextmanager
def given_threads(estimator: Any, threads: int) -> Iterator[None]:
    """Set `n_jobs` during a fit, unless the estimator lacks it or the YAML sets it.

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
