"""The program of one worker of the service.

    python -m waterflow.serving.worker FOLDER SLOT RUN SETTINGS SOCKET PIPE

It takes requests from a socket that it inherits, and ends when its supervisor does. It asks neither MLflow nor the
store nor a database: what it loads lies in the local cache.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path

import uvicorn

from waterflow.serving.access import Access
from waterflow.serving.app import ServingApp
from waterflow.serving.following import Follower
from waterflow.serving.prediction_log.recording import AnswerRecorder
from waterflow.serving.prediction_log.spool import SPOOL, PredictionLog
from waterflow.serving.reports import WorkerReport, read_report
from waterflow.serving.service import Service
from waterflow.serving.settings import ServiceSettings
from waterflow.serving.shadow import ShadowRunner
from waterflow.serving.state import ServiceState, read_state

WAIT_SECONDS = 120.0
GRACE_SECONDS = 10


def main(folder: Path, slot: int, run: str, settings: ServiceSettings, listening: int, alive: int) -> None:
    """Load what is assigned, then answer until the supervisor ends."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn raises it again, once it has ended
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", force=True)
    logging.getLogger("waterflow").setLevel(logging.INFO)
    before = read_report(folder, slot, run)
    report = WorkerReport(run, os.getpid(), counts=before.counts if before else {})
    # Until it is ready, no switch takes place: it might begin to answer by what was served before.
    report.write(folder, slot)
    service = Service(
        folder,
        _wait_for_state(folder, run),
        report,
        access=Access.read(Path(settings.tokens_file)) if settings.tokens_file else Access(),
        max_body_bytes=settings.max_body_bytes,
    )
    log = PredictionLog(folder.parent / SPOOL)
    service.observers += [AnswerRecorder(log), ShadowRunner(service, AnswerRecorder(log, "shadow"))]
    follower = Follower(service, slot)
    follower.load_all()
    gc.collect()
    gc.freeze()  # a million lasting objects, which no collection has to look at again
    config = uvicorn.Config(
        ServingApp(service),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    try:
        asyncio.run(_serve(uvicorn.Server(config), follower, socket.socket(fileno=listening), alive))
    finally:
        log.close()


async def _serve(server: uvicorn.Server, follower: Follower, listening: socket.socket, alive: int) -> None:
    loop = asyncio.get_running_loop()
    # Nothing is ever written to this pipe: it is readable once the supervisor is gone.
    loop.add_reader(alive, lambda: _stop(loop, alive))
    following = asyncio.create_task(follower.follow())
    try:
        await server.serve(sockets=[listening])
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


def _stop(loop: asyncio.AbstractEventLoop, alive: int) -> None:
    loop.remove_reader(alive)
    os.kill(os.getpid(), signal.SIGTERM)


def _wait_for_state(folder: Path, run: str) -> ServiceState:
    """Wait for the state of this start of the service."""
    ends = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < ends:
        state = read_state(folder)
        if state is not None and state.run == run:
            return state
        time.sleep(0.02)
    sys.exit(f"no state of this service appeared in {folder} within {WAIT_SECONDS:.0f} s")


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]),
        sys.argv[3],
        ServiceSettings.model_validate_json(sys.argv[4]),
        int(sys.argv[5]),
        int(sys.argv[6]),
    )
