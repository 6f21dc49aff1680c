"""A DAG run of five candidates on the running stack, beside the same work typed as a script; and what the stack costs.

    make up && python benchmarks/stack.py             runs, interleaved with the script, and a timeline of the last one
    python benchmarks/stack.py --idle-seconds 120     what the stack takes when nobody uses it, and the images' sizes
    python benchmarks/stack.py --start                 how long a test stack takes from clean volumes to healthy

A DAG run is timed by Airflow itself, from the start of the run to its end; the script as a whole process.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from compare import BARE, make_template, measure, spread  # noqa: E402
from support.compose import Stack  # noqa: E402

IMAGES = ("waterflow-airflow", "waterflow-mlflow", "waterflow-minio", "postgres:17")


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle-seconds", type=float, default=0)
    parser.add_argument("--start", action="store_true")
    arguments = parser.parse_args()
    if arguments.start:
        time_start()
        return
    stack = Stack(
        project=os.environ.get("COMPOSE_PROJECT_NAME", "waterflow"),
        airflow_port=int(os.environ.get("AIRFLOW_PORT", "8080")),
        mlflow_port=int(os.environ.get("MLFLOW_PORT", "5000")),
    )
    if arguments.idle_seconds:
        show_idle(stack, arguments.idle_seconds)
    else:
        compare(stack, arguments.rounds)


def compare(stack: Stack, rounds: int) -> None:
    """Let the stack and the script take turns, after a run of each that does not count but is shown."""
    seconds, ratios = [], []
    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        template = make_template(Path(name))
        for number in range(rounds + 1):
            run_id, taken = dag_run(stack)
            bare = measure(BARE, template, Path(name)).wall_seconds
            label = f"round {number}" if number else "first run"
            print(f"{label}: DAG run {taken:.1f} s, script {bare:.1f} s; load {os.getloadavg()[0]:.1f}", flush=True)
            if number:
                seconds.append(taken)
                ratios.append(taken / bare)
    print(f"\nDAG run {spread(seconds, 1)} s, ratio to the bare script {spread(ratios, 2)}\n")
    show_timeline(stack, run_id)


def dag_run(stack: Stack) -> tuple[str, float]:
    """Trigger train_iris, wait, and give its id and the seconds that Airflow took."""
    run_id = stack.trigger("train_iris")
    state = stack.wait("train_iris", run_id)
    if state != "success":
        raise SystemExit(f"the DAG run {run_id} ended as {state}")
    found = stack.airflow("GET", f"/dags/train_iris/dagRuns/{run_id}").json()
    return run_id, (moment(found["end_date"]) - moment(found["start_date"])).total_seconds()


def show_timeline(stack: Stack, run_id: str) -> None:
    """Print when each task was queued, started and ended, in seconds since the DAG run's start."""
    begun = moment(stack.airflow("GET", f"/dags/train_iris/dagRuns/{run_id}").json()["start_date"])
    print(f"{'task':<34} {'queued':>7} {'started':>8} {'ended':>7} {'took':>6}")
    for task in sorted(stack.tasks("train_iris", run_id), key=lambda task: task["start_date"]):
        name = f"{task['task_id']} {task['rendered_map_index'] or ''}"
        queued, started, ended = (
            (moment(task[key]) - begun).total_seconds() for key in ("queued_when", "start_date", "end_date")
        )
        print(f"{name:<34} {queued:>7.2f} {started:>8.2f} {ended:>7.2f} {ended - started:>6.2f}")


def show_idle(stack: Stack, seconds: float) -> None:
    """Print CPU and memory of each running container while nobody asks anything of the stack."""
    ids = [entry["Id"] for entry in stack.containers() if entry["State"]["Running"]]
    names = {entry["Id"]: entry["Config"]["Labels"]["com.docker.compose.service"] for entry in stack.containers()}
    before = {name: cpu_seconds(name) for name in ids}
    time.sleep(seconds)
    total_cpu = total_memory = 0.0
    for name in ids:
        cores = (cpu_seconds(name) - before[name]) / seconds
        memory = memory_mib(name)
        total_cpu, total_memory = total_cpu + cores, total_memory + memory
        print(f"{names[name]:<24} {cores:6.3f} cores {memory:8.0f} MiB")
    print(f"{'whole stack':<24} {total_cpu:6.3f} cores {total_memory:8.0f} MiB")
    for image in IMAGES:
        size = subprocess.run(
            ["docker", "image", "inspect", "-f", "{{.Size}}", image], capture_output=True, text=True, check=True
        ).stdout
        print(f"{image:<24} {int(size) / 1e9:6.2f} GB")


def time_start() -> None:
    """Time `up --wait` from clean volumes, with images that are there."""
    stack = Stack(project="waterflow-bench")
    taken = []
    try:
        for _ in range(3):
            stack.down(volumes=True)
            started = time.monotonic()
            stack.up()
            taken.append(time.monotonic() - started)
            print(f"clean volumes to healthy: {taken[-1]:.0f} s; load {os.getloadavg()[0]:.1f}", flush=True)
    finally:
        stack.down(volumes=True)
    print(f"median {median(taken):.0f} s")


def cgroup(container: str, version_1: str, version_2: str) -> str:
    """Read a container's accounting from the kernel, under either version of control groups."""
    places = (
        Path("/sys/fs/cgroup") / version_1.partition("/")[0] / "docker" / container / version_1.partition("/")[2],
        Path("/sys/fs/cgroup/system.slice") / f"docker-{container}.scope" / version_2,
        Path("/sys/fs/cgroup/docker") / container / version_2,
    )
    for place in places:
        if place.is_file():
            return place.read_text()
    raise SystemExit(f"no accounting of container {container} under /sys/fs/cgroup")


def cpu_seconds(container: str) -> float:
    """Give the CPU time that a container has taken since its start."""
    text = cgroup(container, "cpuacct/cpuacct.usage", "cpu.stat")
    return int(text.split()[1]) / 1e6 if text.startswith("usage_usec") else int(text) / 1e9


def memory_mib(container: str) -> float:
    """Give the memory of a container's processes without the files that the kernel keeps for it."""
    statistics = dict(line.split() for line in cgroup(container, "memory/memory.stat", "memory.stat").splitlines())
    anonymous = statistics.get("total_rss") or statistics["anon"]
    return int(anonymous) / 2**20


def moment(text: str) -> datetime:
    """Read a time as Airflow's API writes it."""
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    main()
