"""Following the supervisor's state. A worker loads beside what answers, then switches."""

import asyncio
import logging
from pathlib import Path

from waterflow.errors import WaterflowError
from waterflow.serving.model_loading import ServedModel, load_served
from waterflow.serving.service import Service
from waterflow.serving.state import STATE_FILE, Assignment, read_state
from waterflow.serving.switchboard import token_of

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
                self._service.switch_to(pipeline, model)
        for pipeline, assignment in self._service.state.pending.items():
            model = self._load(pipeline, assignment)
            if model is not None:
                self._take(pipeline, model)
        for pipeline, assignment in self._service.state.shadows.items():
            model = self._load(_shadow_of(pipeline), assignment)
            if model is not None:
                self._service.shadows[pipeline] = model
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
                for pipeline in list(self._service.pending):
                    self._service.switch_due(pipeline)
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
        """Load what is new beside what answers."""
        service, state = self._service, self._service.state
        for pipeline, assignment in list(state.assignments.items()):
            pending = service.pending.get(pipeline)
            wanted = state.pending.get(pipeline, assignment)
            if pending is not None and pending.assignment.serves_like(wanted):
                continue
            service.pending.pop(pipeline, None)
            service.report.ready.pop(pipeline, None)
            model = service.models.get(pipeline)
            if model is not None and model.assignment.serves_like(wanted):
                self._failed.pop(pipeline, None)
                continue
            loaded = await self._load_beside(pipeline, wanted, now)
            if loaded is not None:
                self._take(pipeline, loaded)
            self._report()
        for pipeline in set(service.models) - set(state.assignments):
            del service.models[pipeline]
        await self._load_shadows(now)

    async def _load_shadows(self, now: float) -> None:
        """Load the versions that answer for the record."""
        service, state = self._service, self._service.state
        for pipeline, assignment in list(state.shadows.items()):
            model = service.shadows.get(pipeline)
            if model is None or not model.assignment.serves_like(assignment):
                loaded = await self._load_beside(_shadow_of(pipeline), assignment, now)
                if loaded is not None:
                    service.shadows[pipeline] = loaded
        for pipeline in set(service.shadows) - set(state.shadows):
            del service.shadows[pipeline]

    async def _load_beside(self, pipeline: str, assignment: Assignment, now: float) -> ServedModel | None:
        """Load a model in a thread. One that failed is tried again after a while."""
        failed = self._failed.get(pipeline)
        if failed and failed[0] == assignment.version.model_id and now - failed[1] < RETRY_SECONDS:
            return None
        loaded = await asyncio.to_thread(self._load, pipeline, assignment)
        if loaded is None:
            self._failed[pipeline] = (assignment.version.model_id, now)
        else:
            self._failed.pop(pipeline, None)
        return loaded

    def _take(self, pipeline: str, model: ServedModel) -> None:
        """Keep a model until all workers switch. Where nothing answers, it does so at once."""
        service = self._service
        if pipeline not in service.models or pipeline not in service.state.pending:
            service.switch_to(pipeline, model)
        if pipeline in service.state.pending:
            service.pending[pipeline] = model
            service.report.ready[pipeline] = token_of(model.assignment.version)

    def _load(self, pipeline: str, assignment: Assignment) -> ServedModel | None:
        """Load a model. What cannot be loaded is logged and reported, and changes nothing else."""
        try:
            return load_served(assignment, self._service.state.keyring)
        except WaterflowError as error:
            logger.error("worker %d: %s: %s", self._slot, pipeline, error)  # its line says it all
            self._service.report.problems[pipeline] = str(error)
            self._report()
            return None

    def _report(self) -> None:
        self._service.report.write(self._service.folder, self._slot)


def _shadow_of(pipeline: str) -> str:
    """Return the name by which a shadow's problems are reported."""
    return f"{pipeline} (shadow)"


def _stamp(folder: Path) -> tuple[int, int]:
    try:
        found = (folder / STATE_FILE).stat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_ino
