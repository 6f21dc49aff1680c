"""How far a model fitted on all rows agrees with the last one that was compared, on rows that both learnt from.

    python benchmarks/refits.py [--rows 6000] [--origins 1]

The holdout is the last fifth of the rows, in time where they are dated; the compared model is fitted on everything
before its last block, the serving one on all rows. Both are honest fits of one recipe, so the limits of
`promotion.staging` have to lie below these figures.
"""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from baselines import load
from sklearn import datasets

from waterflow.config.compose import compose_pipeline
from waterflow.config.project import find_project
from waterflow.config.schema import CandidateConfig, PipelineConfig
from waterflow.promotion.agreement import mean_rank_correlation, tabulate
from waterflow.promotion.staging import MAX_ROWS
from waterflow.training.fitting import LabelledRows, fit_candidate

ROOT = Path(__file__).resolve().parents[1]
HELD_OUT = 0.2
MEMORIES = {  # they remember each row
    "classification": {"unpruned tree": "sklearn.tree.DecisionTreeClassifier"},
    "regression": {"unpruned tree": "sklearn.tree.DecisionTreeRegressor"},
}


def sources() -> Iterator[tuple[str, pd.DataFrame, list[str], PipelineConfig]]:
    """Yield data sets with their feature columns and a configuration, in the order in which rows came."""
    project = find_project(start=Path(__file__).parent)
    for name in ("flights", "flights_delay", "water", "iris"):
        frame, columns = load(name)
        config = compose_pipeline(project, name)
        if config.time_column:
            frame = frame.sort_values(config.time_column)
        yield name, frame.dropna(subset=[config.target]), columns, config
    plain = {
        "dataset": {"kind": "csv", "path": "x.csv"},
        "target": "target",
        "candidates": {"one": {"estimator": "x.Y"}},
    }
    strategy = {"name": "s", "select_on": "validation", "validation_fraction": 0.2, "promotable": True}
    for name, task, metric, frame in (
        ("wine", "classification", "f1_macro", datasets.load_wine(as_frame=True).frame),
        ("diabetes", "regression", "rmse", datasets.load_diabetes(as_frame=True).frame),
        ("incomes (simulated)", "classification", "roc_auc", simulate_incomes()),
    ):
        own = {**plain, "name": "x", "task": task, "metrics": {"main": metric}, "strategy": strategy}
        shuffled = frame.sample(frac=1, random_state=0)
        yield name, shuffled, [column for column in frame if column != "target"], PipelineConfig.model_validate(own)


def simulate_incomes(rows: int = 12_000) -> pd.DataFrame:
    """Simulate a census: numbers, categories with gaps, and a rare class of a quarter."""
    generator = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": generator.integers(17, 90, rows),
            "hours": generator.normal(40, 12, rows).round(),
            "education": generator.choice(["school", "college", "degree", "doctor"], rows, p=[0.5, 0.25, 0.2, 0.05]),
            "work": np.where(generator.random(rows) < 0.06, None, generator.choice(["private", "state", "own"], rows)),
            "country": generator.choice([f"country {number}" for number in range(40)], rows),
            "gain": np.where(generator.random(rows) < 0.08, generator.lognormal(8, 1, rows), 0.0),
        }
    )
    level = frame["education"].map({"school": 0, "college": 1, "degree": 2, "doctor": 3}).astype(float)
    score = level + (frame["hours"] - 40) / 15 + (frame["gain"] > 4000) * 3 - ((frame["age"] - 50) / 20) ** 2
    return frame.assign(target=(score + generator.logistic(0, 1, rows) > 1.6).astype(int))


def recipes(config: PipelineConfig) -> dict[str, CandidateConfig]:
    """Return the shipped models of a task, as configured, and one that remembers every row."""
    found: dict[str, CandidateConfig] = {}
    for path in sorted((ROOT / "conf" / "model").glob("*.yaml")):
        for name, content in yaml.safe_load(path.read_text("utf-8")).items():
            is_regressor = name.endswith("regressor") or name in ("ridge", "huber", "linear_median")
            if is_regressor == (config.task == "regression") and name not in ("bert", "defaults"):
                found[name] = CandidateConfig.model_validate({**content, "search": None, "early_stopping_rounds": None})
    return found | {name: CandidateConfig(estimator=path) for name, path in MEMORIES[config.task].items()}


def measure(
    frame: pd.DataFrame, columns: list[str], config: PipelineConfig, candidate: CandidateConfig, origins: int
) -> tuple[float, float]:
    """Return rank correlation and share of equal decisions of both fits, on rows that both learnt from."""
    known = round(len(frame) * (1 - HELD_OUT / origins))
    one = config.model_copy(update={"candidates": {"one": candidate}})
    models = [
        fit_candidate(one, "one", LabelledRows(part[columns], part[config.target])).pipeline
        for part in (frame.iloc[:known].reset_index(drop=True), frame)
    ]
    chosen = np.unique(np.linspace(0, known - 1, min(MAX_ROWS, known)).astype(int))
    compared, served = (tabulate(model, frame.iloc[chosen][columns], config.task) for model in models)
    scores: list[Any] = [name for name in compared if name != "challenger"] or ["challenger"]
    correlation = mean_rank_correlation(served[scores], compared[scores])
    equal = float((served["challenger"].to_numpy() == compared["challenger"].to_numpy()).mean())
    return np.nan if correlation is None else correlation, np.nan if config.task == "regression" else equal


def main() -> None:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--origins", type=int, default=1)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    print("| data | rows | model | rank correlation | equal decisions |\n|---|---|---|---|---|")
    for name, frame, columns, config in sources():
        rows = frame.iloc[np.linspace(0, len(frame) - 1, min(given.rows, len(frame))).astype(int)].reset_index(
            drop=True
        )
        for model, candidate in recipes(config).items():
            correlation, equal = measure(rows, columns, config, candidate, given.origins)
            print(f"| {name} | {len(rows):,} | {model} | {correlation:.3f} | {equal:.3f} |", flush=True)


if __name__ == "__main__":
    main()
