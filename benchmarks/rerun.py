"""An unchanged `waterflow run iris` beside the first one: wall time, and how many estimators each fits.

    python benchmarks/rerun.py              three rounds after a warm-up
    python benchmarks/rerun.py --rounds 9   more of them, on a busy machine

Each round has a home of its own, empty at its start: MLflow's database is made by the first run, as it is for anybody.
The two runs of a round follow each other, so that what slows the machine for a minute slows both.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from compare import Cost, run_measured, spread

ROOT = Path(__file__).resolve().parents[1]
COMMAND = """
import os, sys
from pathlib import Path
from waterflow.cli import main

sys.argv = ["waterflow", "run", "iris"]
try:
    main()
finally:
    # What was never imported was never fitted.
    fitting = sys.modules.get("waterflow.training.fitting")
    Path(os.environ["FITS"]).write_text(str(getattr(fitting, "FITS", 0)) if fitting else "0")
"""
COUNTING = """
import importlib.abc, importlib.util, sys

class Counting(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "waterflow.training.fitting":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module

        def count(module):
            execute(module)
            module.FITS, fit = 0, module.fit_estimator
            def fit_estimator(*given, **named):
                module.FITS += 1
                return fit(*given, **named)
            module.fit_estimator = fit_estimator

        spec.loader.exec_module = count
        return spec

sys.meta_path.insert(0, Counting())
"""


def main() -> None:
    """Run the rounds and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (default 3)")
    arguments = parser.parse_args()
    rounds: list[tuple[Cost, Cost]] = []
    for number in range(arguments.rounds + 1):
        with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
            home = Path(name)
            (first, fits), (again, refits) = (run_counted(home, sys.executable) for _ in range(2))
        label = f"round {number}" if number else "warm-up"
        print(
            f"{label}: first {first.wall_seconds:.1f} s ({fits} fits), unchanged {again.wall_seconds:.1f} s "
            f"({refits} fits), ratio {again.wall_seconds / first.wall_seconds:.2f}; load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        rounds += [(first, again)] if number else []
    print(f"\nmedian (least–most) of {len(rounds)} rounds on {os.cpu_count()} cores")
    for field, unit in (("wall_seconds", "s"), ("cpu_seconds", "s")):
        pairs = [(getattr(first, field), getattr(again, field)) for first, again in rounds]
        ratios = [again / first for first, again in pairs]
        print(
            f"  {field.partition('_')[0]:<5} first {median(first for first, _ in pairs):5.1f} {unit}, "
            f"unchanged {median(again for _, again in pairs):5.1f} {unit}, ratio {spread(ratios, 2)}"
        )


def run_counted(home: Path, python: str) -> tuple[Cost, int]:
    """Run the pipeline in a process of its own; returns its cost, and the number of estimators that it fitted."""
    told = home / "fits"
    variables = {"WATERFLOW_HOME": str(home / "home"), "FITS": str(told)}
    cost = run_measured([python, "-c", COUNTING + COMMAND], variables)
    return cost, int(told.read_text())


if __name__ == "__main__":
    main()
