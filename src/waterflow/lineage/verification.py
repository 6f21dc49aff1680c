"""Checks whether a node of a lineage exists. MLflow, the store, git and Airflow are asked, each thing once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from waterflow.caching.keys import train_key
from waterflow.errors import StoreError
from waterflow.lineage.airflow_runs import Airflow, NotAskedError
from waterflow.lineage.version_history import VersionHistory
from waterflow.provenance.worktree import has_commit
from waterflow.records.data import Blob
from waterflow.records.run import Origin
from waterflow.records.training import Trained
from waterflow.resources import Resources
from waterflow.stores.base import get_file, scratch_folder


class Verification(NamedTuple):
    """Whether something resolves. None where nobody can be asked; `reason` says why not.

    `details` are the state of a DAG run and those of its tasks.
    """

    resolves: bool | None
    reason: str = ""
    details: tuple[str, ...] = ()


@dataclass
class Verifier:
    """Answers questions about lineage, and remembers the answers. What versions share is fetched and hashed once."""

    resources: Resources
    _known: dict[tuple[str, ...], Verification] = field(default_factory=dict)

    def verify_model(self, model_id: str, pipeline: str) -> Verification:
        """Compare a model's files with their signed digest."""
        return self._once(
            ("model", model_id, pipeline), lambda: _check(lambda: self.resources.models.verify(model_id, pipeline))
        )

    def verify_served(self, history: VersionHistory) -> Verification:
        """Compare what the registry serves with the recorded fit. Then compare its files with their digest."""

        def verify() -> Verification:
            found = _check(history.check_served)
            return self.verify_model(history.model.model_id, history.version.model) if found.resolves else found

        return self._once(("served", history.name), verify)

    def verify_fit(self, fit: Trained, pipeline: str) -> Verification:
        """Compare a fit's model with the digest in its record. Then compare its files."""

        def verify() -> Verification:
            model = self.resources.models.find_model(fit.model_id)
            if model is None:
                return Verification(False, f"model {fit.model_id}: MLflow has no such model any more; it was deleted")
            if model.files_digest != fit.model_digest:
                return Verification(False, f"model {fit.model_id}: its digest is not that of the record of its fit")
            return self.verify_model(fit.model_id, pipeline)

        return self._once(("fit", fit.model_id), verify)

    def verify_blob(self, blob: Blob) -> Verification:
        """Fetch an object and compare it with its digest."""

        def fetch() -> None:
            with scratch_folder() as folder:
                get_file(self.resources.store, blob, folder / "blob")

        return self._once(("blob", blob.digest), lambda: _check(fetch))

    def verify_dag_run(self, origin: Origin) -> Verification:
        """Ask Airflow for a DAG run and its tasks' attempts."""
        if origin.dag_id is None:
            return Verification(None, "started by a command, of which no scheduler keeps a record")
        return self._once(("dag run", origin.dag_id, origin.run_id), lambda: self._ask_airflow(origin))

    def verify_code(self, history: VersionHistory) -> Verification:
        """Look for the commit of a fit. Without one, compare the present code by its digest."""
        commit = history.provenance.commit
        found = None if commit is None else has_commit(self.resources.project.root, commit)
        if found:
            return Verification(True)
        try:
            if self.is_present_code(history):
                return Verification(True, "the present code is that of the fit, by its digest")
        except StoreError:
            return Verification(None, "not asked: without its configuration and record the code cannot be compared")
        if commit is None:
            return Verification(
                False, "the project was not under git, and its code has changed since; `git init` prevents that"
            )
        if found is None:
            return Verification(None, "not asked: there is no checkout here")
        root = self.resources.project.root
        return Verification(False, f"{root} has no commit {commit[:12]}; fetch it, or use a clone that has it")

    def is_present_code(self, history: VersionHistory) -> bool:
        """Return whether present code and environment yield the recorded key."""
        trained = history.trained
        try:
            key = train_key(history.prepared, history.config, trained, self.resources)
        except ImportError:  # a module of the user's own that is not here
            return False
        return key == trained.action_key

    def _ask_airflow(self, origin: Origin) -> Verification:
        try:
            run = Airflow(self.resources.profile).find_run(str(origin.dag_id), origin.run_id)
        except NotAskedError as error:
            return Verification(None, f"not asked: {error}")
        if run is None:
            return Verification(
                False, f"Airflow has no run {origin.run_id} of {origin.dag_id} any more; it was deleted"
            )
        return Verification(True, details=(run.state, *run.tasks))

    def _once(self, name: tuple[str, ...], verify: Callable[[], Verification]) -> Verification:
        if name not in self._known:
            self._known[name] = verify()
        return self._known[name]


def _check(check: Callable[[], object]) -> Verification:
    try:
        check()
    except StoreError as error:
        return Verification(False, str(error))
    return Verification(True)
