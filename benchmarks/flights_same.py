"""Compare models of equal skill on real flights, month by month: how often one is promoted.

    python benchmarks/flights_same.py [--rows 6000] [--draws 60]

Two real models, fitted on January to March, predict the flights of April to December. In each draw they swap their
predictions for about half of the days, or of the weeks, at random: neither is better, while days stay as they were.
The comparison draws rows as if they were independent, or blocks of days.
"""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
from baselines import as_features, load
from sklearn.ensemble import HistGradientBoostingClassifier

from waterflow.evaluation.comparison import compare_models
from waterflow.evaluation.dependence import Dependence, calendar_periods
from waterflow.evaluation.paired_metrics import Pair
from waterflow.scoring.metrics import Predicted

METRICS = ("roc_auc", "log_loss")


def predict(rows: pd.DataFrame, columns: list[str], early: np.ndarray) -> list[np.ndarray]:
    """Return both models' probabilities that a flight is late: with all columns, and without the weather."""
    features, target = as_features(rows, columns), rows["late"]
    known = [name for name in columns if name not in ("temp", "dewp", "humid", "pressure", "visib", "precip")]
    chances = []
    for names in (columns, known):
        model = HistGradientBoostingClassifier(max_iter=60, categorical_features="from_dtype", random_state=0)
        model.fit(features.loc[early, names], target[early])
        chances.append(model.predict_proba(features[names])[:, 1])
    return chances


def make_pair(truth: np.ndarray, chances: list[np.ndarray]) -> Pair:
    """Make a pair of two probabilities of being late."""
    models = [Predicted(truth, part > 0.5, (False, True), np.column_stack([1 - part, part])) for part in chances]
    return Pair("classification", models[0], models[1])


def main() -> None:
    """Print the rates by month."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--draws", type=int, default=60)
    given = parser.parse_args()
    rows, columns = load("flights")
    times = pd.to_datetime(rows["scheduled_departure"], utc=True)
    months, generator = times.dt.month.to_numpy(), np.random.default_rng(0)
    chances = predict(rows, columns, (months <= 3) & (generator.random(len(rows)) < 0.5))
    zone, counts = "America/New_York", {}
    for month in range(4, 13):
        chosen = np.sort(generator.choice(np.flatnonzero(months == month), given.rows, replace=False))
        truth, first, second = rows["late"].to_numpy()[chosen], chances[0][chosen], chances[1][chosen]
        days = calendar_periods(times.iloc[chosen], "day", zone)
        for unit in ("day", "week"):
            units = calendar_periods(times.iloc[chosen], unit, zone)
            for _ in range(given.draws):
                swapped = generator.random(units.max() + 1)[units] < 0.5
                pair = make_pair(truth, [np.where(swapped, second, first), np.where(swapped, first, second)])
                for drawn, dependence in (("rows", Dependence()), ("days", Dependence(periods=days))):
                    for metric in METRICS:
                        found = compare_models(
                            replace(pair, dependence=dependence), metric, alpha=0.05, resamples=200, seed=0
                        )
                        key = (unit, drawn, metric)
                        counts.setdefault(key, []).append(found.p_value <= 0.05 and found.difference.low > 0)
    print("| swapped by | drawn | " + " | ".join(METRICS) + " |\n|---|---|---|---|")
    for unit in ("day", "week"):
        for drawn in ("rows", "days"):
            rates = " | ".join(f"{np.mean(counts[unit, drawn, metric]):.3f}" for metric in METRICS)
            print(f"| {unit} | {drawn} | {rates} |")


if __name__ == "__main__":
    main()
