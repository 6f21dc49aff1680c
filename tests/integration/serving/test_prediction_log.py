"""The prediction log: what a worker took is sealed, or its counters say what became of it."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.projects import copy_database, make_project
from support.served import QUICK, answered, open_stores, seconds

from waterflow.config.schema import LogConfig
from waterflow.errors import UnreachableError
from waterflow.ledger.prediction_index import PredictionIndex
from waterflow.resources import open_resources
from waterflow.serving.prediction_log.counters import Counters
from waterflow.serving.prediction_log.reading import read_predictions
from waterflow.serving.prediction_log.sealing import seal_spool
from waterflow.serving.prediction_log.spool import PredictionLog, SpoolLimits
from waterflow.stores.folder import FolderStore

ALL = LogConfig()
Stores = tuple[FolderStore, PredictionIndex]


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """Open a store and an index of this test alone."""
    return open_stores(tmp_path)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Name the folder of the workers' spools."""
    return tmp_path / "spool"


def recorded(stores: Stores, pipeline: str = "flowers", hours: float = 1) -> Any:
    """Read the predictions of the hours until now."""
    store, index = stores
    now = datetime.now(UTC)
    return read_predictions(
        pipeline, now - timedelta(hours=hours), now + timedelta(minutes=1), index=index, store=store
    )


def wait_until(holds: Callable[[], bool], timeout_seconds: float = 20) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + timeout_seconds
    while not holds():
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.01)


def serve_for_ever(spool: Path, pause_seconds: float) -> None:
    """Answer one request after the other; runs in a process of its own."""
    log = PredictionLog(spool)
    while True:
        log.append(answered(), ALL)
        time.sleep(pause_seconds)


def kill_worker(spool: Path, *, after_rows: int) -> None:
    """Start a worker that answers requests, and kill it when so many were synced."""
    worker = multiprocessing.get_context("spawn").Process(target=serve_for_ever, args=(spool, 0.001))
    worker.start()
    try:
        wait_until(lambda: any(spool.glob("[!.]*/counters")), 60)
        counters = Counters(next(spool.glob("[!.]*/counters")).parent)
        wait_until(lambda: counters.read()["synced"] >= after_rows)
        counters.close()
    finally:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()


def test_answers_come_back_as_a_table(spool: Path, stores: Stores) -> None:
    """Of two pipelines, in order of time, after the worker ended; nothing is left in the spool."""
    log = PredictionLog(spool, QUICK)
    late, early = answered(2), answered(1, at=time.time() - 60)
    for rows in (late, early, answered(pipeline="roses")):
        log.append(rows, ALL)
    log.close()
    (totals,) = seal_spool(spool, *stores)
    assert (totals.accepted, totals.sealed, totals.dropped, totals.lost) == (4, 4, 0, 0)
    assert recorded(stores)["id"].tolist() == [f"{early.id}-0", f"{late.id}-0", f"{late.id}-1"]
    assert len(recorded(stores, "roses")) == 1
    assert recorded(stores, "tulips").empty
    assert [path.name for path in spool.iterdir()] == [".sealing"]


def test_a_killed_worker_loses_a_tenth_of_a_second(spool: Path, stores: Stores) -> None:
    """`kill -9` at about 700 rows a second: its counters say exactly how many are gone, and few are."""
    kill_worker(spool, after_rows=300)
    (folder,) = (path for path in spool.iterdir() if path.is_dir())
    counters = Counters(folder)
    accepted = counters.read()["accepted"]
    counters.close()
    (totals,) = seal_spool(spool, *stores)
    rows = recorded(stores)
    assert totals.accepted == accepted
    assert totals.lost == accepted - len(rows)
    assert totals.lost <= 150
    assert len(rows) >= 300
    assert stores[1].list_workers() == [totals]


def test_a_torn_tail_is_counted_as_lost(spool: Path, stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    """The rows before it are sealed, and a line in the log says how many are missing."""
    log = PredictionLog(spool, QUICK)
    for _ in range(3):
        log.append(answered(2), ALL)
    log.close()
    (path,) = spool.glob("*/*.closed")
    path.write_bytes(path.read_bytes()[:-5])
    with caplog.at_level(logging.ERROR):
        (totals,) = seal_spool(spool, *stores)
    assert (totals.sealed, totals.lost) == (4, 2)
    assert "of 6 rows 2 were lost and 0 dropped" in caplog.text
    assert len(recorded(stores)) == 4


def test_a_living_worker_is_sealed_up_to_its_closed_files(spool: Path, stores: Stores) -> None:
    """Its open file stays until it is old or large enough."""
    log = PredictionLog(spool, replace(QUICK, file_seconds=0.1))
    log.append(answered(), ALL)
    wait_until(lambda: any(log.folder.glob("*.closed")))
    log.append(answered(), ALL)
    assert seal_spool(spool, *stores) == []
    assert len(recorded(stores)) == 1
    assert log.counters.read()["sealed"] == 1
    log.close()
    assert [totals.sealed for totals in seal_spool(spool, *stores)] == [2]


def test_two_workers_share_a_spool(spool: Path, stores: Stores) -> None:
    """Each has its own folder, counters and totals."""
    logs = [PredictionLog(spool, QUICK) for _ in range(2)]
    for count, log in enumerate(logs, 1):
        for _ in range(count):
            log.append(answered(), ALL)
        log.close()
    assert sorted(totals.sealed for totals in seal_spool(spool, *stores)) == [1, 2]
    assert len(recorded(stores)) == 3


class AwayStore(FolderStore):
    """A store whose server is gone."""

    def upload(self, key: str, path: Path, *, replace: bool = False) -> None:
        """Fail as a server does that does not answer."""
        raise UnreachableError("the store is away")


def test_nothing_is_lost_while_the_store_is_away(tmp_path: Path, spool: Path, stores: Stores) -> None:
    """The spool waits, also that of a worker which ended meanwhile."""
    log = PredictionLog(spool, QUICK)
    log.append(answered(3), ALL)
    log.close()
    for _ in range(2):
        with pytest.raises(UnreachableError):
            seal_spool(spool, AwayStore(tmp_path / "store"), stores[1])
    (totals,) = seal_spool(spool, *stores)
    assert (totals.sealed, totals.lost) == (3, 0)
    assert len(recorded(stores)) == 3


def test_sealing_again_adds_nothing(tmp_path: Path, spool: Path, stores: Stores) -> None:
    """A sealing process that was stopped before it removed the file finds its rows in the index."""
    log = PredictionLog(spool, QUICK)
    log.append(answered(3), ALL)
    log.close()
    (path,) = spool.glob("*/*.closed")
    content, folder = path.read_bytes(), path.parent
    seal_spool(spool, *stores)
    folder.mkdir()
    path.write_bytes(content)
    (folder / "counters").write_bytes(b"")
    seal_spool(spool, *stores)
    assert len(recorded(stores)) == 3


def test_a_full_spool_drops_and_counts(spool: Path, stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    """Beyond the bound answers are dropped, the log says so once, and recording goes on when there is room."""
    log = PredictionLog(spool, SpoolLimits(disk_bytes=4_000, file_bytes=1_000, flush_seconds=0.01))
    with caplog.at_level(logging.ERROR):
        for _ in range(20):
            log.append(answered(), ALL)
        wait_until(lambda: "are not recorded: the spool has" in caplog.text)
        log.append(answered(5), ALL)
        assert log.counters.read()["dropped"] == 5
        assert caplog.text.count("are not recorded") == 1
        seal_spool(spool, *stores)
        wait_until(lambda: "5 rows were dropped so far" in caplog.text)
    log.append(answered(), ALL)
    log.close()
    (totals,) = seal_spool(spool, *stores)
    assert (totals.accepted, totals.sealed, totals.dropped) == (21, 21, 5)


def test_memory_is_bounded(spool: Path) -> None:
    """What does not fit while the disk is slow is dropped and counted."""
    log = PredictionLog(spool, SpoolLimits(memory_bytes=1_000, flush_seconds=60))
    for _ in range(100):
        log.append(answered(), ALL)
    counted = log.counters.read()
    assert counted["accepted"] + counted["dropped"] == 100
    assert 0 < counted["accepted"] < 10
    log.close()


def test_an_answer_that_cannot_be_written_never_fails(spool: Path) -> None:
    """An integer of 70 bits has no form in the spool: the row is dropped, and the request goes on."""
    log = PredictionLog(spool, QUICK)
    log.append(answered(1, columns={"x": [2**70]}), ALL)
    assert log.counters.read()["dropped"] == 1
    log.close()


def test_columns_that_are_not_kept_are_never_written(spool: Path, stores: Stores) -> None:
    """Neither their names nor their values reach the disk."""
    log = PredictionLog(spool, QUICK)
    log.append(answered(columns={"age": [44], "name": ["Ann Lee"]}), LogConfig(columns=("age",)))
    log.close()
    written = b"".join(path.read_bytes() for path in spool.glob("*/*.closed"))
    assert b"age" in written
    assert b"Ann Lee" not in written
    assert b"name" not in written
    seal_spool(spool, *stores)
    assert [name for name in recorded(stores) if name.startswith("feature.")] == ["feature.age"]


def test_requests_outside_the_sample_are_counted_alone(spool: Path, stores: Stores) -> None:
    """The rows that are recorded carry the sample's share, so that sums can be weighted."""
    log = PredictionLog(spool, QUICK)
    for _ in range(300):
        log.append(answered(), LogConfig(sample=0.5))
    counted = log.counters.read()
    log.close()
    assert counted["accepted"] + counted["left_out"] == 300
    assert 100 < counted["accepted"] < 200
    seal_spool(spool, *stores)
    assert recorded(stores)["sample"].unique().tolist() == [0.5]


def test_rows_are_sealed_by_day_and_kept_as_long_as_they_should(spool: Path, stores: Stores) -> None:
    """A row of last week with three days to keep is not read any more; one of today is."""
    log = PredictionLog(spool, QUICK)
    for days in (0, 7):
        log.append(answered(at=seconds(datetime.now(UTC) - timedelta(days=days))), LogConfig(keep_days=3))
    log.close()
    seal_spool(spool, *stores)
    assert len(recorded(stores, hours=24 * 30)) == 1
    assert len(stores[1].kept_segments(datetime.now(UTC).date() - timedelta(days=6))) == 2


def test_the_sealing_process_seals_and_ends(tmp_path: Path, spool: Path, tracking_template: Path) -> None:
    """It runs beside the workers, in a project; told to end, it looks once more."""
    project = make_project(tmp_path)
    copy_database(project, tracking_template)
    command = (sys.executable, "-m", "waterflow.serving.prediction_log.sealer", str(spool), "0.1")
    environment = os.environ | {"WATERFLOW_CONF": str(project.conf), "WATERFLOW_HOME": str(project.home)}
    sealing = subprocess.Popen(command, env=environment)
    log = PredictionLog(spool, QUICK)
    try:
        ended = PredictionLog(spool, QUICK)
        ended.append(answered(), ALL)
        ended.close()
        wait_until(lambda: not ended.folder.exists(), 60)
        log.append(answered(), ALL)
        log.close()
        sealing.terminate()
        assert sealing.wait(30) == 0
    finally:
        sealing.kill()
        sealing.wait()
    resources = open_resources(project)
    assert len(recorded((resources.store, resources.prediction_index))) == 2  # type: ignore[arg-type]
