"""What it costs Airflow to parse the DAG file, compared with importing `airflow.sdk` alone.

    python benchmarks/parse_dags.py [--pipelines 50] [--rounds 9]

Each measurement is a process of its own, as each parse of Airflow's DAG processor is; the two take turns. The
project's own pipeline is copied under other names until there are as many as asked for.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from compare import ROOT, Cost, run_measured, spread

IMPORT = "import airflow.sdk"
PARSE = (
    "import runpy, sys; found = runpy.run_path('dags/training.py');"
    "names = [name for name in found if name.startswith('train_')];"
    "assert len(names) == int(sys.argv[1]), names"
)


def main() -> None:
    """Take turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipelines", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=9, help="measured rounds, after a warm-up (default 9)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        conf = copy_conf(Path(name), arguments.pipelines)
        rounds = []
        for number in range(arguments.rounds + 1):
            pair = (measure(IMPORT, conf), measure(PARSE, conf, str(arguments.pipelines)))
            rounds += [pair] if number else []
    print(f"{arguments.pipelines} pipelines, {len(rounds)} rounds on {os.cpu_count()} cores; median (least–most)")
    for field in ("wall_seconds", "cpu_seconds"):
        imported, parsed = ([getattr(cost, field) for cost in column] for column in zip(*rounds, strict=True))
        ratios = [second / first for first, second in zip(imported, parsed, strict=True)]
        print(f"  {field.partition('_')[0]}: import {spread(imported, 2)} s, parse {spread(parsed, 2)} s, ", end="")
        print(f"ratio {spread(ratios, 2)}")


def copy_conf(folder: Path, pipelines: int) -> Path:
    """Copy `conf/` with its first pipeline under as many names as asked for."""
    conf = folder / "conf"
    shutil.copytree(ROOT / "conf", conf)
    source = (conf / "pipeline" / "iris.yaml").read_text("utf-8")
    shutil.rmtree(conf / "pipeline")
    (conf / "pipeline").mkdir()
    for number in range(pipelines):
        (conf / "pipeline" / f"pipeline_{number}.yaml").write_text(source, "utf-8")
    return conf


def measure(code: str, conf: Path, *arguments: str) -> Cost:
    """Run a line of Python with an Airflow whose home is empty and stays so."""
    environment = {"WATERFLOW_CONF": str(conf), "AIRFLOW_HOME": str(conf.parent / "airflow")}
    return run_measured([sys.executable, "-c", code, *arguments], environment)


if __name__ == "__main__":
    main()
