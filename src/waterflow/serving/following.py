"""Following the supervisor's state. A worker loads beside what answers, then switches."""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

from waterflow.errors import WaterflowError
from waterflow.serving.model_loading import ServedModel, load_served
from waterflow.serving.service import Service
from waterflow.serving.state import STATE_FILE, Assignment, read_state

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
REPORT_SECONDS = 1.0
RETRY_SECONDS = 15.0


class Follower:
    """Brings what a worker serves to what it was assigned."""

    def __init__(self, service: Service, slot: int) -> None:
        self._service, self._slot = service, slot
        self._seen = _stamp(service.folder)
        self._failed: dict[str, tuple[str, float]] = {}

    def load_all(self) -> None:
        """Load every assigned model, before the first request."""
        for pipeline, assignment in self._service.state.assignments.items():
            model = self._load(pipeline, assignment)
            if model is not None:
                self._switch(pipeline, model)
        self._report()

    async def follow(self) -> None:
        """Follow the state until cancelled."""
        loop = asyncio.get_running_loop()
        reported = loop.time()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                if self._read_changes() or self._failed:
                    await self._load_changes(loop.time())
                if loop.time() - reported >= REPORT_SECONDS:
                    reported = loop.time()
                    self._report()
            except Exception:  # whatever it is, what is loaded answers on
                logger.exception("worker %d cannot follow", self._slot)

    def _read_changes(self) -> bool:
        stamp = _stamp(self._service.folder)
        if stamp == self._seen:
            return False
        state = read_state(self._service.folder)
        if state is None:
            return False
        self._seen, self._service.state = stamp, state
        return True

    async def _load_changes(self, now: float) -> None:
        """Load assigned models beside those that answer, then switch.

        The place where a common moment of all workers, `assignment.effective_at`, belongs: between `_load` and
        `_switch`.
        """
        for pipeline, assignment in list(self._service.state.assignments.items()):
            model = self._service.models.get(pipeline)
            failed = self._failed.get(pipeline)
            if model is not None and model.assignment.serves_like(assignment):
                self._failed.pop(pipeline, None)
                continue
            if failed and failed[0] == assignment.version.model_id and now - failed[1] < RETRY_SECONDS:
                continue
            loaded = await asyncio.to_thread(self._load, pipeline, assignment)
            if loaded is None:
                self._failed[pipeline] = (assignment.version.model_id, now)
                continue
            self._failed.pop(pipeline, None)
            self._switch(pipeline, loaded)
            self._report()
        for pipeline in set(self._service.models) - set(self._service.state.assignments):
            del self._service.models[pipeline]

    def _load(self, pipeline: str, assignment: Assignment) -> ServedModel | None:
        """Load a model. What cannot be loaded is logged and reported, and changes nothing else."""
        try:
            return load_served(assignment, self._service.state.keyring)
        except WaterflowError as error:
            logger.error("worker %d: %s: %s", self._slot, pipeline, error)  # its line says it all
            self._service.report.problems[pipeline] = str(error)
            self._report()
            return None

    def _switch(self, pipeline: str, model: ServedModel) -> None:
        """Let a loaded model answer from now on. Requests under way finish on the one before."""
        version = model.assignment.version
        self._service.models[pipeline] = model
        self._service.report.note_loaded(pipeline, version.model_id, version.version, model.path, datetime.now(UTC))
        logger.info("worker %d: %s version %d answers", self._slot, pipeline, version.version)

    def _report(self) -> None:
        self._service.report.write(self._service.folder, self._slot)


def _stamp(folder: Path) -> tuple[int, int]:
    try:
        found = (folder / STATE_FILE).stat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_ino
