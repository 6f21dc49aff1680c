"""Twelve months of flights replayed: how well the served champion predicts the month after its training.

    python benchmarks/replay.py                     the present code, on all flights
    python benchmarks/replay.py --before 4e94cd9    and the code of a commit beside it, month by month

At the first of each month from March to December 2013 the pipeline `flights` runs on all rows before, and whoever is
champion afterwards predicts the month that follows. Both codes see the same rows, settings and seeds, each with a home
of its own. The commit must be in the checkout.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import fmean

import pandas as pd
from sklearn.metrics import roc_auc_score

from waterflow.datasets.loaders import flights

ROOT = Path(__file__).resolve().parents[1]
MONTHS = pd.date_range("2013-03-01", "2013-12-01", freq="MS")
RUN = "from waterflow.cli import main; main()"
# It runs under the code of either commit, whose names differ.
PREDICT = """
import sys
import numpy as np, pandas as pd
from waterflow import workflow

opened = getattr(workflow, "open_resources", None) or workflow.open_tools
stores = opened()
registry = getattr(stores, "registry", stores.models)
champion = registry.find_alias("flights", "champion")
if champion is not None:
    load = stores.models.load_model
    model = load(*(champion.model_id, champion.model)[: load.__code__.co_argcount - 1])
    rows = pd.read_parquet(sys.argv[1])
    np.save(sys.argv[2], model.predict_proba(rows[list(model.feature_names_in_)])[:, 1])
    print("champion", champion.version)
"""


def main() -> None:
    """Replay the months under each code and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", help="a commit to compare with")
    parser.add_argument("--sample", type=float, default=1.0, help="share of the flights to train on (default all)")
    parser.add_argument("--candidate", default="hist_gradient_boosting", help="the only one (default %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waterflow-replay-") as name:
        folder = Path(name)
        codes = {"now": ROOT}
        if arguments.before:
            codes["before"] = check_out(arguments.before, folder / "before")
        table = pd.DataFrame(
            {
                label: replay(root, folder / label, arguments.sample, arguments.candidate)
                for label, root in codes.items()
            }
        )
    print(table.to_string(float_format=lambda value: f"{value:.4f}"))
    for label in table.filter(like="now"):
        print(f"mean {label}: {fmean(table[label].dropna()):.4f}")
    if arguments.before:
        both = table.dropna()
        print(f"mean difference over {len(both)} months: {(both['now'] - both['before']).mean():+.4f}")


def check_out(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder."""
    folder.mkdir()
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder


def replay(root: Path, home: Path, sample: float, candidate: str) -> dict[str, float]:
    """Train at each turn of the month, and return the AUC of the champion on the month after, by month."""
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "WATERFLOW_HOME": str(home / "home"), "PYTHONPATH": str(root / "src")}
    rows = flights().assign(scheduled_departure=lambda frame: pd.to_datetime(frame["scheduled_departure"], utc=True))
    scores: dict[str, float] = {}
    for month in MONTHS:
        run_pipeline(root, environment, month, sample, candidate)
        following = rows[rows["scheduled_departure"].between(*bounds(month), inclusive="left")].dropna(subset=["late"])
        scores[f"{month:%Y-%m}"] = score_champion(root, environment, following, home)
        print(f"{home.name} {month:%Y-%m}: {scores[f'{month:%Y-%m}']:.4f}", flush=True)
    return scores


def run_pipeline(root: Path, environment: dict[str, str], month: pd.Timestamp, sample: float, candidate: str) -> None:
    """Run `waterflow run flights` on all rows before a month, with one candidate at its own parameters."""
    others = [name for name in ("logistic_regression", "hist_gradient_boosting", "xgboost") if name != candidate]
    overrides = [*(f"~candidates.{name}" for name in others), "tuning.trials=0"]
    overrides += [f"sample={sample}"] if sample < 1 else []
    overrides.append("++promotion.staging.latency_p95_ms=100000")  # the older check measures how busy the machine is
    command = [sys.executable, "-c", RUN, "run", "flights", *overrides, "--end", f"{month:%Y-%m-%d}"]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[3:])} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    print("\n".join(line for line in done.stdout.splitlines() if line.startswith(("verdict", "decision"))), flush=True)


def score_champion(root: Path, environment: dict[str, str], rows: pd.DataFrame, folder: Path) -> float:
    """Return the champion's AUC on rows; NaN where nobody is champion."""
    rows.to_parquet(folder / "month.parquet")
    target = folder / "scores.npy"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-W", "ignore", "-c", PREDICT, str(folder / "month.parquet"), str(target)]
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    if not target.is_file():
        return float("nan")
    import numpy as np

    return float(roc_auc_score(rows["late"].astype(bool), np.load(target)))


def bounds(month: pd.Timestamp) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first moment of a month and of the next one, in UTC."""
    start = month.tz_localize("UTC")
    return start, start + pd.DateOffset(months=1)


if __name__ == "__main__":
    main()
