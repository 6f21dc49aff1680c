"""Sealing moves closed files of the spool into the store.

A spool file becomes one Parquet file for each pipeline and day. The index names them by the spool file, so that sealing
it again, after an interruption, adds nothing. The spool of a worker that ended is sealed whole; what its counters have
and the index has not was lost.
"""

import fcntl
import logging
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, timedelta
from pathlib import Path

from waterflow.ledger.prediction_index import PredictionIndex
from waterflow.records.prediction_log import SealedSegment, WorkerTotals
from waterflow.serving.prediction_log.counters import NAME, Counters
from waterflow.serving.prediction_log.frames import ServedRows, read_frames
from waterflow.serving.prediction_log.segment import moment_of, write_segment
from waterflow.serving.prediction_log.spool import UNFINISHED
from waterflow.serving.prediction_log.spool_file import CLOSED, OPEN
from waterflow.stores.base import ObjectStore, put_file, scratch_folder
from waterflow.system_errors import explain

logger = logging.getLogger(__name__)

LOCK = ".sealing"


def seal_until(
    has_ended: Callable[[float], bool],
    spool: Path,
    open_stores: Callable[[], tuple[ObjectStore, PredictionIndex]],
    every_seconds: float,
) -> None:
    """Seal a spool until `has_ended(seconds)` says so, and once more.

    A store or database that is away is logged once, and tried again.
    """
    stores: tuple[ObjectStore, PredictionIndex] | None = None
    trouble, ended = "", False
    while True:
        try:
            stores = stores or open_stores()
            seal_spool(spool, *stores)
            if trouble:
                logger.error("prediction log: sealed again")
            trouble = ""
        except Exception as error:
            known = explain(error)
            if not trouble:
                logger.error("prediction log: %s waits: %s", spool, known or repr(error), exc_info=known is None)
            trouble = str(error)
        if ended:
            return
        ended = has_ended(every_seconds)


def seal_spool(spool: Path, store: ObjectStore, index: PredictionIndex) -> list[WorkerTotals]:
    """Seal closed files, and all of workers that ended. Returns the totals of those.

    Nothing is done while another process seals. Raises UnreachableError where store or database are away: what is not
    sealed then stays.
    """
    spool.mkdir(parents=True, exist_ok=True)
    with _only_one(spool) as is_mine:
        if not is_mine:
            return []
        ended = [_seal_worker(folder, store, index) for folder in sorted(_worker_folders(spool))]
    return [totals for totals in ended if totals is not None]


def _seal_worker(folder: Path, store: ObjectStore, index: PredictionIndex) -> WorkerTotals | None:
    counters = Counters(folder)
    try:
        has_ended = counters.try_lock()
        for path in sorted(folder.glob(f"*{CLOSED}")) + (sorted(folder.glob(f"*{OPEN}")) if has_ended else []):
            _seal_file(path, store, index)
            counters.set("sealed", index.count_sealed(folder.name))
            path.unlink()
        if not has_ended:
            return None
        totals = counters.totals(folder.name, index.count_sealed(folder.name))
        index.add_worker(totals)
        shutil.rmtree(folder)
    finally:
        counters.close()
    if totals.lost or totals.dropped:
        logger.error(
            "prediction log: worker %s ended; of %d rows %d were lost and %d dropped",
            totals.worker,
            totals.accepted + totals.dropped,
            totals.lost,
            totals.dropped,
        )
    return totals


def _seal_file(path: Path, store: ObjectStore, index: PredictionIndex) -> None:
    for (pipeline, day), requests in _by_pipeline_and_day(read_frames(path.read_bytes())).items():
        with scratch_folder() as scratch:
            write_segment(requests, scratch / "segment.parquet")
            blob = put_file(store, scratch / "segment.parquet")
        index.add_segment(
            SealedSegment(
                source=f"{path.parent.name}/{path.stem}",
                pipeline=pipeline,
                day=day,
                keep_until=day + timedelta(days=min(entry.keep_days for entry in requests)),
                digest=blob.digest,
                size_bytes=blob.size_bytes,
                row_count=sum(len(entry.labels) for entry in requests),
                first_at=min(map(moment_of, requests)),
                last_at=max(map(moment_of, requests)),
            )
        )


def _by_pipeline_and_day(requests: Iterator[ServedRows]) -> dict[tuple[str, date], Sequence[ServedRows]]:
    groups: defaultdict[tuple[str, date], list[ServedRows]] = defaultdict(list)
    for entry in requests:
        groups[entry.pipeline, moment_of(entry).date()].append(entry)
    return dict(groups)


def _worker_folders(spool: Path) -> Iterator[Path]:
    """Yield the folders of workers. Where one was killed before it had locked its counters, it took nothing."""
    for folder in spool.iterdir():
        if folder.name.startswith(UNFINISHED):
            with suppress(FileNotFoundError):
                if time.time() - folder.stat().st_mtime > 60:
                    shutil.rmtree(folder)
        elif (folder / NAME).is_file():
            yield folder


@contextmanager
def _only_one(spool: Path) -> Iterator[bool]:
    with (spool / LOCK).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
