"""Serve the flights champion beside `mlflow models serve`, and score three million rows beside pandas chunks.

    apt-get install wrk && go install github.com/tsenart/vegeta/v12@v12.12.0
    waterflow run flights tuning.trials=0
    python benchmarks/serving.py --rounds 5 [--parts predictor http latency batch]

`predictor`: CPU of one row and of a hundred, through the fast path and through the pipeline, in one process. `http`:
both services, one worker each, take turns under `wrk` with 8 connections, our log of predictions and metrics on; CPU
per request is that of all their processes, from /proc; then batches of 100 rows, and ours with two workers. `latency`:
each at half of the throughput just measured, paced by vegeta, which sends on time whether or not answers come. `batch`:
`waterflow predict` on Parquet, beside the fitted pipeline on pandas chunks of the same rows, with peak memory.
A ratio is made within a round, and its median printed: other work on the machine slows both.
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

BIN = Path(sys.executable).parent
TICKS = os.sysconf("SC_CLK_TCK")
BATCH_ROWS = 3_000_000
CHUNK_ROWS = 1 << 16
PARTS = ("predictor", "http", "latency", "batch")
PLAIN = """
import sys, mlflow.sklearn, pyarrow as pa, pyarrow.parquet as pq
pipeline = mlflow.sklearn.load_model(sys.argv[1])
writer = None
for batch in pq.ParquetFile(sys.argv[2]).iter_batches(ROWS):
    frame = batch.to_pandas()
    chances = pipeline.predict_proba(frame)[:, 1]
    labels = pipeline.classes_[(chances > 0.5).astype(int)]
    answers = pa.table({"prediction": labels, "probability": chances})
    writer = writer or pq.ParquetWriter(sys.argv[3], answers.schema)
    writer.write_table(answers)
writer.close()
""".replace("ROWS", str(CHUNK_ROWS))


class Load(NamedTuple):
    """What one turn of a load measured. CPU is per request."""

    requests_per_second: float
    cpu_ms: float
    failed: int


class Service(NamedTuple):
    """A service that runs."""

    name: str
    process_id: int
    url: str
    body: Callable[[list[dict[str, Any]]], dict[str, Any]]


def main() -> None:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10, help="of each turn of a load")
    parser.add_argument("--rows", type=int, default=BATCH_ROWS, help="of the batch")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    if "predictor" in arguments.parts:
        measure_predictor(arguments.rounds)
    if {"http", "latency"} & set(arguments.parts):
        measure_services(arguments.rounds, arguments.seconds, arguments.parts)
    if "batch" in arguments.parts:
        measure_batch(arguments.rounds, arguments.rows)
    print(f"load of the machine after: {os.getloadavg()[0]:.1f}")


def measure_predictor(rounds: int) -> None:
    """Print the CPU of one row and of a hundred, by both paths."""
    from waterflow.serving.compiled.equality import plain_columns
    from waterflow.serving.predictors import PipelinePredictor

    chosen, features, pipeline = load_champion()
    print(f"fast path: {chosen.reason or 'yes'}")
    rows = flight_rows(100, [feature.name for feature in features])
    reference = PipelinePredictor(pipeline, features)
    for count in (1, 100):
        columns = plain_columns(rows.head(count), features)
        fast, slow = [], []
        for _ in range(rounds):
            fast.append(cpu_ms(lambda columns=columns: chosen.predictor.predict(columns), 300))
            slow.append(cpu_ms(lambda columns=columns: reference.predict(columns), 15))
        ratio = statistics.median(theirs / ours for ours, theirs in zip(fast, slow, strict=True))
        print(f"{count:>4} rows: fast {spread(fast)} ms, pipeline {spread(slow)} ms of CPU, ratio {ratio:.0f}")


def measure_services(rounds: int, seconds: int, parts: list[str]) -> None:
    """Print throughput, CPU per request and latency of both services, in turns."""
    rows = request_rows(100)
    with ExitStack() as stack:
        ours, theirs = stack.enter_context(waterflow_service(1)), stack.enter_context(mlflow_service())
        for service in (ours, theirs):
            warm_up(service, rows)
        if "http" in parts:
            compare_loads("1 row, 8 connections", ours, theirs, rows[:1], rounds, seconds)
            compare_loads("100 rows, 8 connections", ours, theirs, rows, rounds, seconds)
        if "latency" in parts:
            measure_latency(ours, theirs, rows[:1], rounds, seconds)
    if "http" in parts:
        with waterflow_service(1) as one, waterflow_service(2) as two:
            for service in (one, two):
                warm_up(service, rows)
            pairs = [(run_load(one, rows[:1], seconds), run_load(two, rows[:1], seconds)) for _ in range(rounds)]
        ratio = statistics.median(b.requests_per_second / a.requests_per_second for a, b in pairs)
        print(f"two workers: {ratio:.2f} of one")


def compare_loads(
    title: str, ours: Service, theirs: Service, rows: list[dict[str, Any]], rounds: int, seconds: int
) -> None:
    """Run both under load in turns, and print medians and ratios."""
    pairs = [(run_load(ours, rows, seconds), run_load(theirs, rows, seconds)) for _ in range(rounds)]
    for service, loads in zip((ours, theirs), zip(*pairs, strict=True), strict=True):
        throughput, cpu = spread([load.requests_per_second for load in loads]), spread([load.cpu_ms for load in loads])
        failed = sum(load.failed for load in loads)
        print(f"{title}, {service.name}: {throughput} requests/s, {cpu} ms of CPU a request, {failed} failed")
    faster = statistics.median(a.requests_per_second / b.requests_per_second for a, b in pairs)
    cheaper = statistics.median(b.cpu_ms / a.cpu_ms for a, b in pairs)
    print(f"{title}: {faster:.1f} × the requests/s, 1/{cheaper:.0f} of the CPU")


def measure_latency(ours: Service, theirs: Service, rows: list[dict[str, Any]], rounds: int, seconds: int) -> None:
    """Print latency at half of each one's throughput, as paced by vegeta."""
    for service in (ours, theirs):
        capacity = statistics.median(run_load(service, rows, seconds).requests_per_second for _ in range(rounds))
        rate = max(1, round(capacity / 2))
        taken = [attack(service, rows, rate, seconds) for _ in range(rounds)]
        print(
            f"latency at {rate} requests/s, {service.name}: p50 {spread([found['50th'] / 1e6 for found in taken])} ms, "
            f"p95 {spread([found['95th'] / 1e6 for found in taken])} ms, "
            f"p99 {spread([found['99th'] / 1e6 for found in taken])} ms"
        )


def measure_batch(rounds: int, rows: int) -> None:
    """Print time and peak memory of a batch, by us and by pandas chunks."""
    import pyarrow.parquet as pq

    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        folder = Path(name)
        frame = flight_rows(rows, None)
        import pyarrow as pa

        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), folder / "rows.parquet")
        (folder / "plain.py").write_text(PLAIN)
        model = fetch_model(folder)
        ours = [str(BIN / "waterflow"), "predict", "flights", str(folder / "rows.parquet"), "--out"]
        plain = [sys.executable, str(folder / "plain.py"), str(model), str(folder / "rows.parquet")]
        taken: dict[str, list[tuple[float, float, float]]] = {"ours": [], "plain": []}
        for _ in range(rounds):
            taken["ours"].append(run_timed([*ours, str(folder / "ours.parquet")]))
            taken["plain"].append(run_timed([*plain, str(folder / "plain.parquet")]))
        same = pq.read_table(folder / "ours.parquet")["prediction"].equals(
            pq.read_table(folder / "plain.parquet")["prediction"]
        )
    for who, costs in taken.items():
        wall, cpu, memory = ([cost[place] for cost in costs] for place in range(3))
        print(
            f"batch of {rows:,} rows, {who}: {spread(wall)} s wall, {spread(cpu)} s CPU, {spread(memory)} MiB at most"
        )
    for place, what in enumerate(("wall", "CPU")):
        pairs = zip(taken["ours"], taken["plain"], strict=True)
        ratio = statistics.median(mine[place] / theirs[place] for mine, theirs in pairs)
        print(f"batch: {ratio:.2f} of plain, {what}")
    print(f"batch: predictions {'equal' if same else 'DIFFER'}")


def run_load(service: Service, rows: list[dict[str, Any]], seconds: int) -> Load:
    """Run wrk against a service, and take its processes' CPU before and after."""
    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        script = Path(name) / "post.lua"
        script.write_text(
            'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
            f"wrk.body = [==[{json.dumps(service.body(rows))}]==]\n"
        )
        before = cpu_seconds(service.process_id)
        command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), service.url]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        used = cpu_seconds(service.process_id) - before
    count = int(re.search(r"(\d+) requests in", said)[1])  # type: ignore[index]
    failed = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", said))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]
    return Load(rate, used / max(1, count) * 1000, failed)


def attack(service: Service, rows: list[dict[str, Any]], rate: int, seconds: int) -> dict[str, float]:
    """Return latencies in ns of requests that are sent at a fixed rate."""
    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        body = Path(name) / "body.json"
        body.write_text(json.dumps(service.body(rows)))
        target = f"POST {service.url}\nContent-Type: application/json\n@{body}\n"
        command = ["vegeta", "attack", f"-rate={rate}", f"-duration={seconds}s", "-max-workers=64"]
        results = subprocess.run(command, input=target.encode(), check=True, capture_output=True).stdout
        said = subprocess.run(["vegeta", "report", "-type=json"], input=results, check=True, capture_output=True).stdout
    report = json.loads(said)
    assert report["success"] > 0.999, report["errors"]
    return report["latencies"]


@contextmanager
def waterflow_service(workers: int) -> Iterator[Service]:
    """Start ours, as a person does."""
    port = free_port()
    command = [str(BIN / "waterflow"), "serve", "flights", "--port", str(port), "--workers", str(workers)]
    with running(command, f"http://127.0.0.1:{port}/v2/models/flights/ready") as process:
        url = f"http://127.0.0.1:{port}/v1/models/flights/predict"
        yield Service(f"waterflow serve ({workers})", process.pid, url, lambda rows: {"records": rows})


@contextmanager
def mlflow_service() -> Iterator[Service]:
    """Start MLflow's on the same model, in this environment."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="waterflow-bench-") as name:
        model = fetch_model(Path(name))
        command = [str(BIN / "mlflow"), "models", "serve", "-m", str(model), "-p", str(port), "--env-manager", "local"]
        with running([*command, "-w", "1"], f"http://127.0.0.1:{port}/ping") as process:
            url = f"http://127.0.0.1:{port}/invocations"
            yield Service("mlflow models serve", process.pid, url, lambda rows: {"dataframe_records": rows})


@contextmanager
def running(command: list[str], ready: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a service and wait until it answers."""
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        try:
            for _ in range(1800):
                try:
                    with urllib.request.urlopen(ready, timeout=5):  # noqa: S310  # our own address
                        break
                except OSError:
                    assert process.poll() is None, f"{command[0]} ended with {process.returncode}"
                    time.sleep(0.1)
            yield process
        finally:
            process.terminate()
            process.wait(60)


def warm_up(service: Service, rows: list[dict[str, Any]]) -> None:
    """Send one request, which must be answered."""
    body = json.dumps(service.body(rows)).encode()
    request = urllib.request.Request(service.url, body, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        answer.read()


def cpu_seconds(process_id: int) -> float:
    """Return the CPU of a process and those below it."""
    fields = Path(f"/proc/{process_id}/stat").read_text("utf-8").rpartition(")")[2].split()
    children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text("utf-8").split()
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(cpu_seconds(int(child)) for child in children)


def run_timed(command: list[str]) -> tuple[float, float, float]:
    """Return wall and CPU seconds of a command, and its peak memory in MiB."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak_mib, done = 0.0, 0
    while not done:  # the kernel's own peak of a child begins with the parent's memory
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text("utf-8"))
        peak_mib = max(peak_mib, int(found[1]) / 1024 if found else 0.0)
        time.sleep(0.2)
        done, status, usage = os.wait4(process.pid, os.WNOHANG)
    assert status == 0, f"{command[0]} failed"
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, peak_mib


def load_champion() -> tuple[Any, Any, Any]:
    """Return the chosen predictor, the columns and the fitted pipeline of the champion."""
    from waterflow import workflow
    from waterflow.config.compose import compose_pipeline
    from waterflow.lineage.version_history import find_version
    from waterflow.serving.batch import load_predictor

    resources = workflow.open_resources()
    version = find_version("flights@champion", resources)
    chosen, features = load_predictor(version, compose_pipeline(resources.project, "flights", checked=False), resources)
    return chosen, features, resources.models.load_model(version.model_id, "flights")


def fetch_model(folder: Path) -> Path:
    """Return the champion's files."""
    from waterflow import workflow
    from waterflow.lineage.version_history import find_version

    resources = workflow.open_resources()
    return resources.models.fetch_model(
        find_version("flights@champion", resources).model_id, "flights", folder / "model"
    )


def flight_rows(count: int, names: list[str] | None) -> Any:
    """Return rows of 2013, repeated as often as needed."""
    import numpy as np

    from waterflow.config.project import find_project
    from waterflow.datasets.loaders import LOADERS

    frame = LOADERS["flights"](find_project().home)
    frame = frame if names is None else frame[names]
    return frame.iloc[np.arange(count) % len(frame)].reset_index(drop=True)


def request_rows(count: int) -> list[dict[str, Any]]:
    """Return rows as JSON has them, without what is known only after the flight."""
    _, features, _ = load_champion()
    rows = flight_rows(count, [feature.name for feature in features])
    return json.loads(rows.to_json(orient="records"))


def cpu_ms(call: Callable[[], Any], times: int) -> float:
    """Return the CPU of one call in ms."""
    call()
    started = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - started) / times * 1000


def spread(values: list[float]) -> str:
    """Return the median, with the least and the largest."""
    return f"{statistics.median(values):.3g} ({min(values):.3g}–{max(values):.3g})"


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
