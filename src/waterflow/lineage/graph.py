"""The lineage of a registered version. A tree of nodes, each of which resolves or says why not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydantic import Field

from waterflow.errors import StoreError, TrackingError
from waterflow.lineage.verification import Verification, Verifier
from waterflow.lineage.version_history import VersionHistory
from waterflow.records.base import Record
from waterflow.records.data import Blob
from waterflow.records.training import Trained
from waterflow.reporting.step_manifest import log_step
from waterflow.resources import Resources
from waterflow.stores.base import scratch_folder
from waterflow.tracking import tags as tag
from waterflow.tracking.artifacts import write_json
from waterflow.tracking.run_queries import TrackedRun

NOT_ASKED = Verification(None, "not asked during the run; `waterflow lineage` asks")
TREE_STATES = {True: "uncommitted changes", False: "clean", None: "not known"}


class LineageNode(Record):
    """One thing behind a version. `upstream` are the things it was made from.

    `resolves` is None where nobody can be asked; `reason` says why, and why a node does not resolve.
    """

    kind: str
    name: str
    resolves: bool | None
    reason: str = ""
    facts: dict[str, str] = Field(default_factory=dict)
    upstream: "tuple[LineageNode, ...]" = ()


def trace_lineage(history: VersionHistory, verifier: Verifier | None) -> LineageNode:
    """Return a version's lineage. Without a verifier only MLflow is asked, and nothing is fetched."""
    return _LineageBuilder(history, verifier).version()


def walk_lineage(node: LineageNode) -> Iterator[LineageNode]:
    """Yield a node and everything upstream of it."""
    yield node
    for entry in node.upstream:
        yield from walk_lineage(entry)


def broken_nodes(node: LineageNode) -> list[LineageNode]:
    """Return the nodes that do not resolve."""
    return [entry for entry in walk_lineage(node) if entry.resolves is False]


def log_lineage(model: str, version: int, run_id: str, resources: Resources) -> None:
    """Log a version's lineage with the run that registered it. Also notes its tags there."""
    found = resources.registry.get_version(model, version)
    if found is None:  # deleted by a person, this very moment
        return
    with scratch_folder() as folder:
        write_json(folder / tag.LINEAGE_FILE, trace_lineage(VersionHistory(found, resources), None).to_json())
        log_step("lineage", model, run_id, folder, resources, version_tags=found.tags)


@dataclass(frozen=True)
class _LineageBuilder:
    history: VersionHistory
    verifier: Verifier | None

    def version(self) -> LineageNode:
        version = self.history.version
        facts = {"aliases": ", ".join(version.aliases), "candidate": version.tags.get(tag.CANDIDATE, "")}
        upstream = [self._or_broken("model", version.tags.get(tag.MODEL_ID, "–"), self._model)]
        run_id = version.tags.get(tag.PARENT_RUN_ID, "–")
        if all(node.name != run_id for node in walk_lineage(upstream[0])):
            upstream.append(self._or_broken("MLflow run", run_id, self._registration))
        upstream += self._other_fits()
        return _node("version", f"{version.model}@{version.version}", Verification(True), facts, *upstream)

    def _model(self) -> LineageNode:
        model = self.history.model
        found = self.verifier.verify_served(self.history) if self.verifier else NOT_ASKED
        fit = self._or_broken("MLflow run", model.run_id, self._fit)
        return _node("model", model.model_id, found, {"sha256": model.files_digest}, fit)

    def _fit(self) -> LineageNode:
        run = self.history.fit_run
        parent = self._or_broken("MLflow run", run.tags.get(tag.MLFLOW_PARENT_RUN_ID, "–"), self._fit_parent)
        return _run_node(run, {"candidate": run.tags.get(tag.CANDIDATE, "")}, parent)

    def _fit_parent(self) -> LineageNode:
        run = self.history.fit_parent_run
        upstream = (
            self._or_broken("DAG run", run.tags.get(tag.DAG_RUN_ID, "–"), self._dag_run),
            self._or_broken("data set", run.tags.get(tag.DATA_DIGEST, "–"), self._data),
            self._or_broken("configuration", run.tags.get(tag.CONFIG_DIGEST, "–"), self._config),
            self._or_broken("git commit", run.tags.get(tag.GIT_COMMIT, "–"), self._commit),
            self._or_broken("lock file", run.tags.get(tag.LOCK_DIGEST, "–"), self._lock),
            self._or_broken("image", "–", self._image),
        )
        return _run_node(run, {"of": "all candidates"}, *upstream)

    def _registration(self) -> LineageNode:
        return _run_node(self.history.registration_run, {"of": "evaluation and registration, not of the fit"})

    def _other_fits(self) -> list[LineageNode]:
        """Return the fits that were selected and compared. Leaves out the one that serves."""
        try:
            evaluated = self.history.evaluated
        except (StoreError, TrackingError):  # the node of the registration is broken then
            return []
        fits = {fit.model_id: (fit, "comparison") for fit in evaluated.compared}
        fits.setdefault(evaluated.winner.model_id, (evaluated.winner, "selection"))
        fits.pop(self.history.version.model_id, None)
        return [self._other_fit(fit, purpose) for fit, purpose in fits.values()]

    def _other_fit(self, fit: Trained, purpose: str) -> LineageNode:
        found = self.verifier.verify_fit(fit, self.history.version.model) if self.verifier else NOT_ASKED
        facts = {"of": purpose, "fitted on": str(fit.fitted_on), "run": fit.run_id[:8]}
        return _node("model", fit.model_id, found, facts)

    def _dag_run(self) -> LineageNode:
        origin, fit, parent = self.history.prepared.origin, self.history.fit_run, self.history.fit_parent_run
        found = self.verifier.verify_dag_run(origin) if self.verifier else NOT_ASKED
        facts = {
            "runner": origin.runner,
            "dag": origin.dag_id or "",
            "link": parent.tags.get(tag.AIRFLOW_URL, ""),
            "prepare": f"attempt {parent.tags.get(tag.TRY_NUMBER, '–')}",
            "train": f"attempt {fit.tags.get(tag.TRY_NUMBER, '–')}",
            "host": fit.tags.get(tag.HOST, ""),
        }
        if found.details:
            facts |= {"state": found.details[0], "tasks": ", ".join(found.details[1:])}
        return _node("DAG run" if origin.dag_id else "command", origin.run_id, found, facts)

    def _data(self) -> LineageNode:
        prepared = self.history.prepared
        facts = {"rows": str(prepared.rows), "window": str(prepared.window) if prepared.window else "all"}
        shares = {str(share.part): str(share.rows) for share in prepared.shares}
        source = self._or_broken("source", "–", self._source)
        split = self._blob("split", prepared.split, shares)
        return self._blob("data set", prepared.data, facts, source, split)

    def _source(self) -> LineageNode:
        facts = self.history.provenance.source.to_tags()
        reason = "not asked: a source changes; the data set holds the rows that were read from it"
        return _node("source", facts.pop("where", "–"), Verification(None, reason), facts)

    def _config(self) -> LineageNode:
        return self._blob("configuration", self.history.prepared.config, {})

    def _commit(self) -> LineageNode:
        provenance = self.history.provenance
        found = self.verifier.verify_code(self.history) if self.verifier else NOT_ASKED
        if provenance.dirty and provenance.diff is None:
            found = Verification(False, "the tree had uncommitted changes, which could not be read during the run")
        diff = [self._blob("uncommitted changes", provenance.diff, {})] if provenance.diff else []
        return _node("git commit", provenance.commit or "none", found, {"tree": TREE_STATES[provenance.dirty]}, *diff)

    def _lock(self) -> LineageNode:
        made = self.history.provenance
        facts = {"python": made.python, "platform": made.platform, "environment": made.environment[:12]}
        if made.installed is not None:
            return self._blob("installed packages", made.installed, facts)
        if made.lock is None:  # a run of a release that recorded lock files alone
            return _node("lock file", "none", Verification(False, "the project had none to name its packages"), facts)
        extras = [self._blob("lock file", blob, {"extra": name}) for name, blob in made.extra_locks.items()]
        return self._blob("lock file", made.lock, facts, *extras)

    def _image(self) -> LineageNode:
        image = self.history.provenance.image
        reason = "not asked: only the machine that has an image knows it" if image else "it ran in no container"
        return _node("image", image or "none", Verification(None, reason), {})

    def _blob(self, kind: str, blob: Blob, facts: dict[str, str], *upstream: LineageNode) -> LineageNode:
        found = self.verifier.verify_blob(blob) if self.verifier else NOT_ASKED
        return _node(kind, blob.digest, found, {**facts, "bytes": str(blob.size_bytes)}, *upstream)

    def _or_broken(self, kind: str, name: str, build: Callable[[], LineageNode]) -> LineageNode:
        """Build a node, or a broken one if that fails."""
        try:
            return build()
        except (StoreError, TrackingError) as error:  # a server with accounts refuses what it does not have
            return LineageNode(kind=kind, name=name, resolves=False, reason=str(error))


def _node(kind: str, name: str, found: Verification, facts: dict[str, str], *upstream: LineageNode) -> LineageNode:
    known = {key: value for key, value in facts.items() if value}
    return LineageNode(
        kind=kind, name=name, resolves=found.resolves, reason=found.reason, facts=known, upstream=upstream
    )


def _run_node(run: TrackedRun, facts: dict[str, str], *upstream: LineageNode) -> LineageNode:
    facts = {**facts, "status": run.status, "started": f"{run.started_at:%Y-%m-%d %H:%M:%S}"}
    return _node("MLflow run", run.run_id, Verification(True), facts, *upstream)
