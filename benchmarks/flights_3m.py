"""Three million flights: prepare and train XGBoost by Waterflow, beside a plain pandas and XGBoost script.

    waterflow data fetch flights_3m
    python benchmarks/flights_3m.py --rounds 3

Both read the same Parquet, derive month, weekday and hour, keep the latest fifth as test rows and the fifth before as
validation rows, fit the same XGBClassifier (categories of the training rows, two threads) for 100 rounds while it
watches the validation rows, score those by the same metrics and save the model. The script stops there. Waterflow also
checks the rows, warns of leaks, stores rows and split under their digests and logs all of it to MLflow on SQLite,
whose tables were made before the clock started. The two take turns; a ratio is made within a round.
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from compare import BARE, ROOT, Cost, print_table, run_measured

ROUNDS = 100  # of both; early stopping would end them some rounds apart
DATA = ROOT / ".waterflow" / "data"
THREADS = "2"
OURS = "prepare + train"
PIPELINE = """\
defaults:
  - /strategy: balanced
  - /model@candidates: [xgboost]
description: Three million flights.
dataset: {kind: package, loader: flights_3m}
target: late
task: classification
known_after: [delay]
features: [date, distance, origin, destination]
time_column: date
metrics: {main: roc_auc}
tuning: {trials: 0}
candidates: {xgboost: {params: {n_estimators: ROUNDS}, early_stopping_rounds: ROUNDS}}
"""
WATERFLOW = """
import gc, sys
gc.set_threshold(100_000, 20, 20)  # as the command and the tasks of a DAG do
from pathlib import Path
from waterflow import workflow
from waterflow.config.project import Project
from waterflow.records.run import RunRequest, Window
resources = workflow.open_resources(Project(conf=Path(sys.argv[1]) / "conf", home=Path(sys.argv[1]) / "home"))
request = RunRequest(pipeline="flights_3m", origin=workflow.origin_of_shell(), window=Window())
prepared = workflow.prepare(request, resources)
trained = workflow.train(prepared, "xgboost", prepared.origin, resources)
print(trained.metrics)
"""
PLAIN = """
import pickle, sys
import numpy as np
import pandas as pd
from sklearn import metrics
from xgboost import XGBClassifier
frame = pd.read_parquet(sys.argv[2]).sort_values("date", ignore_index=True)
target = (frame["delay"] > 15).to_numpy()
features = frame[["distance"]].copy()
for part in ("month", "day_of_week", "hour"):
    features[part] = getattr(frame["date"].dt, part)
train, stop = int(len(frame) * 0.6), int(len(frame) * 0.8)
for name in ("origin", "destination"):
    names = frame[name].astype("category").cat
    features[name] = names.set_categories(sorted(frame[name][:KNOWN].unique()))
model = XGBClassifier(**PARAMS)
model.fit(features[:train], target[:train], eval_set=[(features[train:stop], target[train:stop])], verbose=False)
truth, chances = target[train:stop], model.predict_proba(features[train:stop])[:, 1]
called = chances >= 0.5
print({
    "roc_auc": metrics.roc_auc_score(truth, chances),
    "average_precision": metrics.average_precision_score(truth, chances),
    "log_loss": metrics.log_loss(truth, chances),
    "accuracy": metrics.accuracy_score(truth, called),
    "balanced_accuracy": metrics.balanced_accuracy_score(truth, called),
    "by class": metrics.precision_recall_fscore_support(truth, called, zero_division=0.0),
    "confusion": metrics.confusion_matrix(truth, called),
})
with open(sys.argv[1] + "/model.pkl", "wb") as file:
    pickle.dump(model, file)
"""
MAKE_DATABASE = """
import sys
from mlflow import MlflowClient
MlflowClient(f"sqlite:///{sys.argv[1]}/home/mlflow.db").search_experiments()
"""


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (default 3)")
    parser.add_argument("--all-categories", action="store_true", help="let the script use those of the test rows too")
    arguments = parser.parse_args()
    parquet = DATA / "flights_3m" / "flights-3m.parquet"
    if not parquet.is_file():
        sys.exit("error: the data is missing; run `waterflow data fetch flights_3m`")
    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        folder = make_project(Path(name))
        plain = PLAIN.replace("PARAMS", repr(parameters()))
        plain = plain.replace("KNOWN", "None" if arguments.all_categories else "train")
        costs = []
        for number in range(arguments.rounds):
            costs.append(
                {
                    BARE: measure(["-c", plain, str(folder), str(parquet)], folder),
                    OURS: measure(["-c", WATERFLOW, str(folder)], folder),
                }
            )
            print(f"round {number + 1}: {', '.join(f'{way} {c.wall_seconds:.1f} s' for way, c in costs[-1].items())}")
    print_table(costs, [BARE, OURS])


def parameters() -> dict[str, object]:
    """Return XGBoost's parameters from the model's file."""
    import yaml

    model = yaml.safe_load((ROOT / "conf" / "model" / "xgboost.yaml").read_text("utf-8"))["xgboost"]
    stop = {"n_estimators": ROUNDS, "early_stopping_rounds": ROUNDS}
    return model["params"] | stop | {"random_state": 0, "n_jobs": int(THREADS)}


def make_project(folder: Path) -> Path:
    """Make a project with one pipeline."""
    shutil.copytree(ROOT / "conf", folder / "conf")
    (folder / "conf" / "pipeline" / "flights_3m.yaml").write_text(PIPELINE.replace("ROUNDS", str(ROUNDS)), "utf-8")
    shutil.copy(ROOT / "requirements.lock", folder)
    return folder


def measure(arguments: list[str], folder: Path) -> Cost:
    """Run one side in a fresh home."""
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    (home / "data").parent.mkdir(parents=True, exist_ok=True)
    (home / "data").symlink_to(DATA)
    run_measured([sys.executable, "-c", MAKE_DATABASE, str(folder)], {})
    variables = {"OMP_NUM_THREADS": THREADS, "WATERFLOW_THREADS": THREADS}
    return run_measured([sys.executable, *arguments], variables)


if __name__ == "__main__":
    main()
