"""What `balanced` costs on flights beside the fits that it makes: five candidates, twenty trials each.

    python benchmarks/tuning.py [--rows 60000] [--trials 20] [--candidates random_forest,xgboost]

The wall time of the five steps `train` (reading the prepared rows, preprocessing, trials, the study on SQLite, the
run in MLflow with its model, table and pictures) is divided by that of the same fits written by hand: a loop over the
same parameters, with scikit-learn and XGBoost alone, on the same rows, cores and seeds. Two loops are
timed, trial by trial, each trial's fit and its prediction and score of the validation rows:

    fits       the preprocessor is fitted once and its output kept, as Waterflow does; the estimator in each trial
    pipelines  `Pipeline([preprocessor, estimator])` is fitted in each trial, as a script usually does

The loop runs one trial after another. Estimators that take `n_jobs` get all cores, linear algebra
one thread. The loops of a candidate run right after its training, so that a change in the machine's load affects both.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

CANDIDATES = "logistic_regression,gaussian_nb,random_forest,hist_gradient_boosting,xgboost"
FLIGHTS = 327_346


def main() -> None:
    """Prepare once; train each candidate and repeat its fits by hand; print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=60_000, help="about so many rows of flights")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--candidates", default=CANDIDATES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as home:
        os.environ["WATERFLOW_HOME"] = home
        measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Run and print one line for each candidate."""
    from waterflow import workflow
    from waterflow.records.run import Origin, RunRequest
    from waterflow.resources import load_config
    from waterflow.snapshots import load_rows
    from waterflow.training.parallelism import count_threads

    resources = workflow.open_resources()
    request = RunRequest(
        pipeline="flights",
        origin=Origin(runner="cli", run_id=f"bench_{datetime.now(UTC):%H%M%S}"),
        window=None,
        overrides=(
            "strategy=balanced",
            f"model@candidates=[{arguments.candidates}]",
            f"sample={arguments.rows / FLIGHTS:.4f}",
            f"tuning.trials={arguments.trials}",
            "tuning.time_budget_seconds=null",
            *(f"candidates.{name}.search.time_budget_seconds=null" for name in arguments.candidates.split(",")),
        ),
    )
    prepared = workflow.prepare(request, resources)
    config = load_config(prepared, resources)
    rows = load_rows(prepared, config, resources, ("train", "validation"))
    print(f"{prepared.rows} rows, {len(rows['train'].target)} to train on, {count_threads()} threads")
    print(f"{'':24}{'train':>10}{'fits':>10}{'pipelines':>11}{'÷ fits':>9}{'÷ pipelines':>13}   load")
    sums = [0.0, 0.0, 0.0]
    for name in prepared.candidates:
        started = time.perf_counter()
        trained = workflow.train(prepared, name, prepared.origin, resources)
        wall = time.perf_counter() - started
        params = tried(resources, trained.run_id, config.search_of(name))
        assert len(params) == arguments.trials
        times = [wall, *(by_hand(config, name, rows, params, count_threads(), once=once) for once in (True, False))]
        sums = [total + seconds for total, seconds in zip(sums, times, strict=True)]
        show(name, times)
    show("together", sums)


def show(name: str, times: list[float]) -> None:
    """Print seconds and ratios."""
    wall, fits, pipelines = times
    print(
        f"{name:24}{wall:9.1f}s{fits:9.1f}s{pipelines:10.1f}s{wall / fits:9.2f}{wall / pipelines:13.2f}   "
        f"{os.getloadavg()[0]:.1f}",
        flush=True,
    )


def tried(resources: Any, run_id: str, search: Any) -> list[dict[str, Any]]:
    """Read the parameters of all trials from the table in MLflow."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        path = resources.runs.client.download_artifacts(run_id, "tuning/trials.csv", folder)
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return [
        {name: value_of(dimension, row[name]) for name, dimension in search.space.items()}
        for row in table.to_dict("records")
    ]


def value_of(dimension: Any, text: str) -> Any:
    """Read one parameter of the table; null is empty."""
    if dimension.choices is not None:
        return next(choice for choice in dimension.choices if ("" if choice is None else str(choice)) == text)
    return int(text) if dimension.integer else float(text)


def by_hand(config: Any, name: str, rows: Any, tries: list[dict[str, Any]], threads: int, *, once: bool) -> float:
    """Fit and score every choice of parameters in a plain loop and return the seconds."""
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import Pipeline
    from threadpoolctl import threadpool_limits

    train, validation = rows["train"], rows["validation"]
    make = maker(config, name, train)
    started = time.perf_counter()
    preprocessor, _ = make({}, threads)
    if once:
        ready, seen = (
            preprocessor.fit_transform(train.features, train.target),
            preprocessor.transform(validation.features),
        )
    for params in tries:
        preprocessor, estimator = make(params, threads)
        with threadpool_limits(1, user_api="blas"):
            if not once:
                pipeline = Pipeline([("preprocess", preprocessor)])
                ready = pipeline.fit_transform(train.features, train.target)
                seen = pipeline.transform(validation.features)
            if config.candidates[name].early_stopping_rounds:
                estimator.fit(ready, train.target, eval_set=[(seen, validation.target)], verbose=False)
            else:
                estimator.fit(ready, train.target)
            roc_auc_score(validation.target, estimator.predict_proba(seen)[:, 1])
    return time.perf_counter() - started


def maker(config: Any, name: str, train: Any) -> Callable[[dict[str, Any], int], tuple[Any, Any]]:
    """Return a builder of an unfitted preprocessor and estimator on all cores."""
    from waterflow.config.estimators import build_estimator
    from waterflow.training.preprocessing import build_preprocessor

    chosen = config.candidates[name]
    takes_threads = name.startswith(("random_forest", "xgboost"))

    def make(params: dict[str, Any], threads: int) -> tuple[Any, Any]:
        blocks = config.preprocessing_of(name)
        preprocessor = build_preprocessor(train.features, blocks, config.seed, config.task)
        estimator = build_estimator(chosen, config.seed, name).set_params(**params)
        if takes_threads:
            estimator.set_params(n_jobs=threads)
        if chosen.early_stopping_rounds:
            estimator.set_params(early_stopping_rounds=chosen.early_stopping_rounds)
        return preprocessor, estimator

    return make


if __name__ == "__main__":
    main()
