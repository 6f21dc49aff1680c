"""The supervisor of a service. It binds the socket and keeps workers running."""

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from waterflow.config.header import find_outline
from waterflow.config.project import Project
from waterflow.errors import ConfigError
from waterflow.serving.access import Access, check_bind
from waterflow.serving.assigning import Assigner
from waterflow.serving.prediction_log.spool import SPOOL
from waterflow.serving.settings import ServiceSettings
from waterflow.serving.state import service_folder
from waterflow.serving.switchboard import clear_switches

logger = logging.getLogger(__name__)

BACKLOG = 2048
LOOK_SECONDS = 0.05
SHORT_LIFE_SECONDS = 10.0  # a worker that ends sooner is started again later and later
MAX_PAUSE_SECONDS = 10.0
GRACE_SECONDS = 20.0
# A poll that hangs for minutes would hide that a server is away.
CLIENT_SETTINGS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}


@dataclass
class _Slot:
    """The place of a worker, whose process may be replaced."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    start_at: float = field(default_factory=time.monotonic)


class Supervisor:
    """A service with its workers, all on one socket."""

    def __init__(self, project: Project, settings: ServiceSettings) -> None:
        """Bind the address.

        Raises ConfigError for one that others reach without tokens, one that is taken, and unknown pipelines.
        """
        for name in settings.pipelines:
            find_outline(project.conf, name)
        access = Access.read(Path(settings.tokens_file)) if settings.tokens_file else Access()
        check_bind(settings.host, access)
        self._project, self._settings, self._run = project, settings, secrets.token_hex(8)
        self._socket = _bind(settings.host, settings.port)
        self._folder = service_folder(project, settings.port)
        self._alive, _ = os.pipe()  # its other end closes with this process
        self._slots = [_Slot(number) for number in range(1, settings.workers + 1)]
        self._stopping = threading.Event()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT. Workers then finish what they answer."""
        os.environ.update({name: os.environ.get(name, value) for name, value in CLIENT_SETTINGS.items()})
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        for report in self._folder.glob("worker-*.json"):
            report.unlink()
        clear_switches(self._folder)
        assigner = Assigner(self._project, self._folder, self._run, self._settings)
        try:
            self._sealing, self._sealing_since = self._start_sealing(), time.monotonic()
            self._start_due()  # their imports take as long as the first look at the champions
            assigner.start()
            while not self._stopping.wait(LOOK_SECONDS):
                self._reap()
                self._start_due()
                assigner.switch_ready()
        finally:
            assigner.stop()
            self._stop_all()

    def _start_due(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.process is None and now >= slot.start_at:
                slot.process, slot.started = self._start(slot.number), now

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        ends = [self._socket.fileno(), self._alive]
        command = [sys.executable, "-m", "waterflow.serving.worker", str(self._folder), str(number), self._run]
        command += [self._settings.model_dump_json(), *map(str, ends)]
        # A session of its own: Ctrl-C reaches the supervisor, which then stops its workers.
        return subprocess.Popen(command, pass_fds=ends, start_new_session=True, stdin=subprocess.DEVNULL)

    def _start_sealing(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "waterflow.serving.prediction_log.sealer", str(self._folder.parent / SPOOL)]
        return subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL)

    def _reap(self) -> None:
        """Note ended processes, and when to start them again."""
        now = time.monotonic()
        if self._sealing.poll() is not None and now - self._sealing_since > SHORT_LIFE_SECONDS:
            logger.error(
                "the process that seals predictions ended with %d; another one starts", self._sealing.returncode
            )
            self._sealing, self._sealing_since = self._start_sealing(), now
        for slot in self._slots:
            if slot.process is None or slot.process.poll() is None:
                continue
            slot.failures = slot.failures + 1 if now - slot.started < SHORT_LIFE_SECONDS else 0
            pause = min(MAX_PAUSE_SECONDS, 2.0 ** (slot.failures - 2)) if slot.failures > 1 else 0.0
            logger.error(
                "worker %d (process %d) ended with %d; another one starts in %.0f s",
                slot.number,
                slot.process.pid,
                slot.process.returncode,
                pause,
            )
            slot.process, slot.start_at = None, now + pause

    def _stop_all(self) -> None:
        self._socket.close()
        processes = [slot.process for slot in self._slots if slot.process is not None]
        for process in processes:
            process.terminate()
        ends = time.monotonic() + GRACE_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, ends - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._sealing.terminate()  # after the workers, so that it takes what they had
        try:
            self._sealing.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._sealing.kill()
            self._sealing.wait()


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"port: {port} on {host!r} cannot be bound ({error.strerror}); stop what has it, or name another by --port"
        ) from error
    listening.listen(BACKLOG)
    return listening
