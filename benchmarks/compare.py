"""The same work three ways: a bare script, `waterflow run iris`, and the DAG in one process; as ratios.

    make bench                                  three rounds after a warm-up
    python benchmarks/compare.py --rounds 9     more of them, on a busy machine

The ways take turns, each run in a home of its own whose databases were made before the clock started. A ratio
is made within a round, so that what slows the machine for a minute slows both sides of it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
BARE = "bare script"
WAYS: dict[str, Callable[[Path], list[str]]] = {
    BARE: lambda home: [sys.executable, "benchmarks/bare_script.py", str(home)],
    "waterflow run": lambda home: [str(BIN / "waterflow"), "run", "iris"],
    "DAG in-process": lambda home: [sys.executable, "scripts/run_dag.py", "iris"],
}
# Both use what the commands themselves use, in a process of its own.
MAKE_DATABASES = """
import sys
from pathlib import Path
from waterflow.orchestration import in_process
home = Path(sys.argv[1])
in_process.configure_airflow(home)
in_process.migrate_metadata(sys.stdout)
from mlflow import MlflowClient
MlflowClient(f"sqlite:///{home}/mlflow.db").search_experiments()
"""


@dataclass(frozen=True)
class Cost:
    """What one process and those it started took: seconds of wall clock and of CPU, and the peak of memory."""

    wall_seconds: float
    cpu_seconds: float
    memory_mib: float


UNITS = {"wall_seconds": "s", "cpu_seconds": "s", "memory_mib": "MiB"}


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds (default 3)")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="leave some out")
    arguments = parser.parse_args()
    ways = [BARE, *(way for way in arguments.ways if way != BARE)]
    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        folder = Path(name)
        template = make_template(folder)
        rounds = []
        for number in range(arguments.rounds + 1):
            label = f"round {number}" if number else "warm-up"
            costs = {way: measure(way, template, folder) for way in ways}
            taken = ", ".join(
                f"{way} {cost.wall_seconds:.1f} s ({cost.cpu_seconds:.1f})" for way, cost in costs.items()
            )
            print(f"{label}: {taken}; load {os.getloadavg()[0]:.1f}", flush=True)
            rounds += [costs] if number else []
    print_table(rounds, ways)


def make_template(folder: Path) -> Path:
    """Make a home with empty databases of MLflow and Airflow, to be copied for each run."""
    template = folder / "template"
    template.mkdir()
    home = folder / "home"  # the path that all runs will have
    home.mkdir()
    run([sys.executable, "-c", MAKE_DATABASES, str(home)], home)
    home.rename(template / "home")
    return template / "home"


def measure(way: str, template: Path, folder: Path) -> Cost:
    """Run one way in a fresh copy of the template."""
    home = folder / "home"
    shutil.copytree(template, home)
    try:
        return run(WAYS[way](home), home)
    finally:
        shutil.rmtree(home)


def run(command: list[str], home: Path) -> Cost:
    """Run a command with a home for what it writes."""
    return run_measured(command, {"WATERFLOW_HOME": str(home)})


def run_measured(command: list[str], variables: dict[str, str]) -> Cost:
    """Run a command to its end and give its cost; ends the program with its output when it fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "WATERFLOW"))}
    environment |= {"OMP_NUM_THREADS": "1", **variables}
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{' '.join(command)}\n{output.read().decode()[-4000:]}")
    peak = used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return Cost(wall, used.ru_utime + used.ru_stime, peak)


def print_table(rounds: list[dict[str, Cost]], ways: list[str]) -> None:
    """Print medians with their ranges, and the medians of the ratios to the bare script."""
    print(f"\n{len(rounds)} rounds on {os.cpu_count()} cores; median (least–most), and the ratio to the bare script")
    for way in ways:
        print(f"\n{way}")
        for field, unit in UNITS.items():
            values = [getattr(costs[way], field) for costs in rounds]
            ratios = [getattr(costs[way], field) / getattr(costs[BARE], field) for costs in rounds]
            print(f"  {field.partition('_')[0]:<7} {spread(values, 1)} {unit:<4}  ratio {spread(ratios, 2)}")


def spread(values: list[float], digits: int) -> str:
    """Give `median (least–most)`."""
    return f"{median(values):7.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


if __name__ == "__main__":
    main()
