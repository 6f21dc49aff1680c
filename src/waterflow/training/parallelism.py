"""Cores, used once: by an estimator's own threads, or by several fits beside one another."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Scikit-learn's estimators that compute on OpenMP's threads without a parameter that says so.
OPENMP = ("HistGradientBoosting",)
ROWS_PER_THREAD = 2_000


def useful_threads(threads: int, rows: int) -> int:
    """Give as many of the threads as so many rows keep busy: on few rows they wait for one another, and spin."""
    return min(threads, 1 + rows // ROWS_PER_THREAD)


def is_single_threaded(estimator: Any) -> bool:
    """Say whether fits of an estimator may run beside one another; what nobody here knows is taken to use threads.

    The linear models' `n_jobs` spreads classes at best, and most of them ignore it.
    """
    module, name = type(estimator).__module__, type(estimator).__name__
    if not module.startswith("sklearn.") or name.startswith(OPENMP):
        return False
    return module.startswith("sklearn.linear_model") or "n_jobs" not in estimator.get_params(deep=False)


@contextmanager
def given_threads(estimator: Any, threads: int) -> Iterator[None]:
    """Give an estimator so many threads while it fits, where it takes a number and the configuration gave none.

    The parameter is taken back afterwards: neither the run nor the model says on how many cores it was fitted.
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
    """Hold OpenMP to so many threads, and linear algebra to one.

    Products of matrices as small as a solver's lose more by being handed out than they gain, and sums in another
    order would make a result depend on the number of cores.
    """
    from threadpoolctl import ThreadpoolController

    controller = ThreadpoolController()
    with controller.limit(limits=threads, user_api="openmp"), controller.limit(limits=1, user_api="blas"):
        yield
