"""Following ledger and alias. Champions are fetched and assigned to the workers."""

import logging
import math
import threading
import time
from pathlib import Path

from waterflow.config.compose import compose_pipeline
from waterflow.config.header import pipeline_files
from waterflow.config.project import Project
from waterflow.errors import UnreachableError, WaterflowError
from waterflow.provenance.signing_keys import open_keyring
from waterflow.resources import Resources, open_resources
from waterflow.serving.champions import CurrentChampion, find_champion
from waterflow.serving.model_cache import ModelCache
from waterflow.serving.reports import are_ready
from waterflow.serving.settings import ServiceSettings
from waterflow.serving.state import Assignment, ServiceState, read_state, write_state
from waterflow.serving.switchboard import Switchboard, token_of
from waterflow.system_errors import explain
from waterflow.tracking.registry import CHALLENGER

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
AHEAD_SECONDS = 0.02  # between the decision to switch and the moment
FIRST_POLL_SECONDS = 20.0  # then workers start with what the cache has


class Assigner:
    """Follows champions and writes what workers serve.

    A start goes on from what the service served before, so that it answers while every server is away.
    """

    def __init__(self, project: Project, folder: Path, run: str, settings: ServiceSettings) -> None:
        self._project, self._folder = project, folder
        names = settings.pipelines or tuple(path.stem for path in pipeline_files(project.conf))
        before = read_state(folder)
        known = before.assignments if before else {}
        self._state = ServiceState(
            run=run,
            pipelines=names,
            assignments={name: entry for name, entry in known.items() if name in names},
            public_keys=before.public_keys if before else (),
            revoked=before.revoked if before else (),
        )
        self._cache = ModelCache(project)
        self._resources: Resources | None = None
        self._composed: set[str] = set()
        self._switching: dict[str, float] = {}
        self._workers, self._switchboard = settings.workers, Switchboard(folder, names)
        self._lock = threading.Lock()
        self._stopped, self._written = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="champions", daemon=True)

    def start(self) -> None:
        """Begin to follow. Returns once the first state is written."""
        self._thread.start()
        if not self._written.wait(FIRST_POLL_SECONDS):
            with self._lock:
                waiting = {"servers_problem": "MLflow and ledger have not answered yet"}
                self._write(self._state.model_copy(update=waiting))

    def stop(self) -> None:
        """Follow no longer."""
        self._stopped.set()

    def switch_ready(self) -> None:
        """Let pending versions answer that all workers have loaded.

        The moment is set a little ahead, and the state follows when it is over: a worker that starts meanwhile loads
        both versions.
        """
        with self._lock:
            if not self._state.pending or not self._written.is_set():
                return
            assignments, pending = dict(self._state.assignments), dict(self._state.pending)
            for name, assignment in self._state.pending.items():
                token = token_of(assignment.version)
                if name not in self._switching and are_ready(self._folder, self._state.run, self._workers, name, token):
                    self._switchboard.set_switch(name, token, AHEAD_SECONDS)
                    self._switching[name] = time.monotonic() + AHEAD_SECONDS
                elif time.monotonic() > self._switching.get(name, math.inf):
                    assignments[name] = pending.pop(name)
                    del self._switching[name]
            if pending != self._state.pending:
                self._write(self._state.model_copy(update={"assignments": assignments, "pending": pending}))

    def _follow(self) -> None:
        while True:
            polled = self._poll(self._state)
            with self._lock:
                self._write(self._merged(polled))
            if self._stopped.wait(POLL_SECONDS):
                return

    def _write(self, state: ServiceState) -> None:
        if state != self._state or not self._written.is_set():
            if state.servers_problem and state.servers_problem != self._state.servers_problem:
                logger.warning("%s; what is loaded answers on", state.servers_problem)
            self._state = state
            write_state(self._folder, state)
            self._written.set()

    def _poll(self, state: ServiceState) -> ServiceState:
        """Return the next state. An error of a server keeps what is assigned."""
        try:
            resources = self._open()
            keys = resources.keyring
            assignments, shadows, problems = dict(state.assignments), dict(state.shadows), {}
            registered = set(resources.registry.list_models())
            for name in state.pipelines:
                try:
                    assignment = self._assign(name, state, resources, is_registered=name in registered)
                    shadow = assignment and self._assign_shadow(name, assignment, shadows.get(name), resources)
                except UnreachableError:
                    raise
                except WaterflowError as error:
                    problems[name] = str(error)
                    continue
                for entries, found in ((assignments, assignment), (shadows, shadow)):
                    entries.pop(name, None)
                    entries.update({name: found} if found else {})
            for name, problem in problems.items():
                if problem != state.problems.get(name):
                    logger.error("%s: %s", name, problem)
            return state.model_copy(
                update={
                    "assignments": assignments,
                    "shadows": shadows,
                    "problems": problems,
                    "servers_problem": "",
                    "public_keys": tuple(sorted(keys.public_keys)),
                    "revoked": tuple(sorted(keys.revoked)),
                }
            )
        except Exception as error:
            self._resources = None
            known = explain(error)
            if known is None:
                logger.exception("champions cannot be followed")
            return state.model_copy(update={"servers_problem": str(known or error)})

    def _merged(self, polled: ServiceState) -> ServiceState:
        """Return the state with what a poll found.

        Another version than the one that answers is pending until all workers have loaded it. While a moment is set,
        nothing changes for its pipeline.
        """
        if polled.servers_problem:
            return self._state.model_copy(update={"servers_problem": polled.servers_problem})
        assignments, pending = dict(self._state.assignments), dict(self._state.pending)
        for name in set(polled.pipelines) - set(polled.problems) - set(self._switching):
            wanted, present = polled.assignments.get(name), assignments.get(name)
            pending.pop(name, None)
            if wanted is None:
                assignments.pop(name, None)
            elif present is None:
                assignments[name] = wanted
            elif not present.serves_like(wanted):
                pending[name] = wanted
        return polled.model_copy(update={"assignments": assignments, "pending": pending})

    def _open(self) -> Resources:
        """Return the stores. Changed keys open them again."""
        if self._resources is not None:
            current, before = open_keyring(self._resources.profile), self._resources.keyring
            if (current.public_keys, current.revoked) == (before.public_keys, before.revoked):
                return self._resources
        self._resources = open_resources(self._project)
        return self._resources

    def _assign_shadow(
        self, name: str, champion: Assignment, present: Assignment | None, resources: Resources
    ) -> Assignment | None:
        """Return the version that answers for the record. Without one, or on trouble, None."""
        version = resources.registry.find_alias(name, CHALLENGER) if champion.shadow else None
        if version is None or version.model_id == champion.version.model_id:
            return None
        if present is not None and name in self._composed and present.version.model_id == version.model_id:
            return present
        config = compose_pipeline(self._project, name, checked=False)
        try:
            found = self._cache.fetch(CurrentChampion(version, None), config, resources)
        except UnreachableError:
            raise
        except WaterflowError as error:
            logger.warning("%s: no shadow: %s", name, error)
            return None
        logger.info("%s: version %d is the shadow", name, version.version)
        return found.model_copy(update={"version": found.version.model_copy(update={"moved_by_hand": False})})

    def _assign(
        self, name: str, state: ServiceState, resources: Resources, *, is_registered: bool
    ) -> Assignment | None:
        champion = find_champion(name, resources, is_registered=is_registered)
        if champion is None:
            return None
        known = [entry for entry in (state.assignments.get(name), state.pending.get(name)) if entry is not None]
        if name in self._composed:  # settings are read again at each start, and with each version
            for present in known:
                if _is_assigned(champion, present):
                    return present
        config = compose_pipeline(self._project, name, checked=False)
        assignment = self._cache.fetch(champion, config, resources)
        self._composed.add(name)
        version = assignment.version
        logger.info("%s: version %d is champion (row %s)", name, version.version, version.sequence or "none")
        known += [state.shadows[name]] if name in state.shadows else []
        self._cache.remove_unused(name, [version.model_id, *(entry.version.model_id for entry in known)])
        return assignment


def _is_assigned(champion: CurrentChampion, present: Assignment) -> bool:
    """Return whether workers were assigned this champion by this row."""
    version, row = present.version, champion.row
    return (version.model_id, version.version, version.sequence, version.moved_by_hand) == (
        champion.version.model_id,
        champion.version.version,
        row.sequence if row else None,
        champion.moved_by_hand,
    )
