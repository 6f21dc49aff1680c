"""Following ledger and alias. Champions are fetched and assigned to the workers."""

import logging
import threading
from pathlib import Path

from waterflow.config.compose import compose_pipeline
from waterflow.config.header import pipeline_files
from waterflow.config.project import Project
from waterflow.errors import UnreachableError, WaterflowError
from waterflow.provenance.signing_keys import open_keyring
from waterflow.resources import Resources, open_resources
from waterflow.serving.champions import CurrentChampion, find_champion
from waterflow.serving.model_cache import ModelCache
from waterflow.serving.state import Assignment, ServiceState, read_state, write_state
from waterflow.system_errors import explain

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
FIRST_POLL_SECONDS = 20.0  # then workers start with what the cache has


class Assigner:
    """Follows champions and writes what workers serve.

    A start goes on from what the service served before, so that it answers while every server is away.
    """

    def __init__(self, project: Project, folder: Path, run: str, pipelines: tuple[str, ...]) -> None:
        self._project, self._folder = project, folder
        names = pipelines or tuple(path.stem for path in pipeline_files(project.conf))
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
        self._stopped, self._written = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._follow, name="champions", daemon=True)

    def start(self) -> None:
        """Begin to follow. Returns once the first state is written."""
        self._thread.start()
        if not self._written.wait(FIRST_POLL_SECONDS):
            self._write(self._state.model_copy(update={"servers_problem": "MLflow and ledger have not answered yet"}))

    def stop(self) -> None:
        """Follow no longer."""
        self._stopped.set()

    def _follow(self) -> None:
        while True:
            self._write(self._poll(self._state))
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
            assignments, problems = dict(state.assignments), {}
            for name in state.pipelines:
                try:
                    assignment = self._assign(name, assignments.get(name), resources)
                except UnreachableError:
                    raise
                except WaterflowError as error:
                    problems[name] = str(error)
                    continue
                if assignment is None:
                    assignments.pop(name, None)
                else:
                    assignments[name] = assignment
            for name, problem in problems.items():
                if problem != state.problems.get(name):
                    logger.error("%s: %s", name, problem)
            return state.model_copy(
                update={
                    "assignments": assignments,
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

    def _open(self) -> Resources:
        """Return the stores. Changed keys open them again."""
        if self._resources is not None:
            current, before = open_keyring(self._resources.profile), self._resources.keyring
            if (current.public_keys, current.revoked) == (before.public_keys, before.revoked):
                return self._resources
        self._resources = open_resources(self._project)
        return self._resources

    def _assign(self, name: str, present: Assignment | None, resources: Resources) -> Assignment | None:
        champion = find_champion(name, resources)
        if champion is None:
            return None
        if present is not None and _is_assigned(champion, present):
            return present
        config = compose_pipeline(self._project, name, checked=False)
        assignment = self._cache.fetch(champion, config, resources)
        version = assignment.version
        logger.info("%s: version %d is champion (row %s)", name, version.version, version.sequence or "none")
        used = [version.model_id, *([present.version.model_id] if present else [])]
        self._cache.remove_unused(name, used)
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
