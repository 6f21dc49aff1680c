"""Whether a link of a lineage leads to something: asked of MLflow, the store, git and Airflow, each thing once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from waterflow.caching.keys import train_key
from waterflow.errors import StoreError
from waterflow.lineage.airflow_runs import Airflow, NotAskedError
from waterflow.lineage.version_history import Chain
from waterflow.provenance.worktree import has_commit
from waterflow.records import Blob, Origin
from waterflow.resources import Resources, load_config, scratch_folder
from waterflow.stores.base import get_file


class Proof(NamedTuple):
    """Whether a link resolves, None where nobody could be asked; then, and where it does not, the reason."""

    resolves: bool | None
    reason: str = ""
    found: tuple[str, ...] = ()


@dataclass
class Proofs:
    """Answers, kept: what several versions share is fetched and hashed once."""

    resources: Resources
    _known: dict[tuple[str, ...], Proof] = field(default_factory=dict)

    def files(self, model_id: str) -> Proof:
        """Fetch a model's files and hold them against their digest."""
        return self._once(("model", model_id), lambda: _held(lambda: self.resources.models.verify(model_id)))

    def blob(self, blob: Blob) -> Proof:
        """Fetch an object and hold it against its digest."""

        def fetch() -> None:
            with scratch_folder() as folder:
                get_file(self.resources.store, blob, folder / "blob")

        return self._once(("blob", blob.digest), lambda: _held(fetch))

    def dag_run(self, origin: Origin) -> Proof:
        """Ask Airflow for the DAG run and the tries of its tasks."""
        if origin.dag_id is None:
            return Proof(None, "started by a command, of which no scheduler keeps a record")
        return self._once(("dag run", origin.dag_id, origin.run_id), lambda: self._ask_airflow(origin))

    def code(self, chain: Chain) -> Proof:
        """Ask the checkout for the commit; where none names the code, compare the code of the fit with the present."""
        commit = chain.provenance.commit
        found = None if commit is None else has_commit(self.resources.project.root, commit)
        if found:
            return Proof(True)
        try:
            if self.is_present_code(chain):
                return Proof(True, "the code at hand is that of the fit, by its digest")
        except StoreError:
            return Proof(None, "not asked: without its configuration and record the code cannot be compared")
        if commit is None:
            return Proof(False, "the project was not under git, and its code was changed since; `git init` keeps it")
        if found is None:
            return Proof(None, "not asked: there is no checkout here")
        return Proof(
            False, f"{self.resources.project.root} has no commit {commit[:12]}; fetch it, or use a clone that has"
        )

    def is_present_code(self, chain: Chain) -> bool:
        """Say whether the present code, environment and all, would give the fit its recorded action key."""
        config = load_config(chain.prepared, self.resources)
        try:
            return (
                train_key(chain.prepared, config, chain.trained.candidate, self.resources) == chain.trained.action_key
            )
        except ImportError:  # a module of the user's own that is not here
            return False

    def _ask_airflow(self, origin: Origin) -> Proof:
        try:
            run = Airflow(self.resources.profile).find(str(origin.dag_id), origin.run_id)
        except NotAskedError as error:
            return Proof(None, f"not asked: {error}")
        if run is None:
            return Proof(False, f"Airflow has no run {origin.run_id} of {origin.dag_id} any more; it was deleted")
        return Proof(True, found=(run.state, *run.tasks))

    def _once(self, name: tuple[str, ...], ask: Callable[[], Proof]) -> Proof:
        if name not in self._known:
            self._known[name] = ask()
        return self._known[name]


def _held(check: Callable[[], object]) -> Proof:
    try:
        check()
    except StoreError as error:
        return Proof(False, str(error))
    return Proof(True)
