"""The lineage of a registered version: a tree of links, each of which resolves or says why not."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pydantic import Field

from waterflow.errors import StoreError, TrackingError
from waterflow.lineage.verification import Proof, Proofs
from waterflow.lineage.version_history import Chain
from waterflow.records import Blob, Record
from waterflow.resources import Resources, scratch_folder, write_json
from waterflow.tracking import tags as tag
from waterflow.tracking.found import FoundRun

UNASKED = Proof(None, "not asked while the run went on; `waterflow lineage` asks")


class Link(Record):
    """One thing behind a version, and what stands behind that in turn.

    `resolves` is None where nobody can be asked, and `reason` then says why; so it does where the link is broken.
    """

    kind: str
    name: str
    resolves: bool | None
    reason: str = ""
    facts: dict[str, str] = Field(default_factory=dict)
    links: "tuple[Link, ...]" = ()


def trace(chain: Chain, proofs: Proofs | None) -> Link:
    """Follow a version to its data, code and environment; without `proofs` only MLflow is asked, nothing fetched."""
    return _Tracing(chain, proofs).version()


def all_links(link: Link) -> Iterator[Link]:
    """Give a link and all behind it, from the version on."""
    yield link
    for behind in link.links:
        yield from all_links(behind)


def broken_links(link: Link) -> list[Link]:
    """List the links that do not resolve."""
    return [entry for entry in all_links(link) if entry.resolves is False]


def log_lineage(model: str, version: int, run_id: str, resources: Resources) -> None:
    """Log the tree among the artifacts of the run that registered the version."""
    found = resources.models.get_version(model, version)
    if found is None:  # deleted by a person, this very moment
        return
    with scratch_folder() as folder:
        write_json(folder / tag.LINEAGE_FILE, trace(Chain(found, resources), None).to_json())
        resources.runs.log_folder(run_id, folder)


@dataclass(frozen=True)
class _Tracing:
    chain: Chain
    proofs: Proofs | None

    def version(self) -> Link:
        version = self.chain.version
        facts = {"aliases": ", ".join(version.aliases), "candidate": version.tags.get(tag.CANDIDATE, "")}
        links = [self._tried("model", version.tags.get(tag.MODEL_ID, "–"), self._model)]
        own = version.tags.get(tag.PARENT_RUN_ID, "–")
        if all(link.name != own for link in all_links(links[0])):
            links.append(self._tried("MLflow run", own, self._registration))
        return _link("version", f"{version.model}@{version.version}", Proof(True), facts, *links)

    def _model(self) -> Link:
        model = self.chain.model
        proof = self.proofs.files(model.model_id) if self.proofs else UNASKED
        behind = self._tried("MLflow run", model.run_id, self._fit)
        return _link("model", model.model_id, proof, {"sha256": model.digest or ""}, behind)

    def _fit(self) -> Link:
        run = self.chain.fit_run
        facts = {"candidate": run.tags.get(tag.CANDIDATE, ""), **_of_run(run)}
        parent = self._tried("MLflow run", run.tags.get(tag.MLFLOW_PARENT_RUN_ID, "–"), self._parent)
        return _link("MLflow run", run.run_id, Proof(True), facts, parent)

    def _parent(self) -> Link:
        run = self.chain.parent_run
        behind = (
            self._tried("DAG run", run.tags.get(tag.DAG_RUN_ID, "–"), self._dag_run),
            self._tried("data set", run.tags.get(tag.DATA_DIGEST, "–"), self._data),
            self._tried("configuration", run.tags.get(tag.CONFIG_DIGEST, "–"), self._config),
            self._tried("git commit", run.tags.get(tag.GIT_COMMIT, "–"), self._commit),
            self._tried("lock file", run.tags.get(tag.LOCK_DIGEST, "–"), self._lock),
            self._tried("image", "–", self._image),
        )
        return _link("MLflow run", run.run_id, Proof(True), {"of": "all candidates", **_of_run(run)}, *behind)

    def _registration(self) -> Link:
        run = self.chain.own_run
        facts = {"of": "evaluation and registration, not of the fit", **_of_run(run)}
        return _link("MLflow run", run.run_id, Proof(True), facts)

    def _dag_run(self) -> Link:
        origin, fit, parent = self.chain.prepared.origin, self.chain.fit_run, self.chain.parent_run
        proof = self.proofs.dag_run(origin) if self.proofs else UNASKED
        facts = {
            "runner": origin.runner,
            "dag": origin.dag_id or "",
            "link": parent.tags.get(tag.AIRFLOW_URL, ""),
            "prepare": f"try {parent.tags.get(tag.TRY_NUMBER, '–')}",
            "train": f"try {fit.tags.get(tag.TRY_NUMBER, '–')}",
            "host": fit.tags.get(tag.HOST, ""),
        }
        if proof.found:
            facts |= {"state": proof.found[0], "tasks": ", ".join(proof.found[1:])}
        return _link("DAG run" if origin.dag_id else "command", origin.run_id, proof, facts)

    def _data(self) -> Link:
        prepared = self.chain.prepared
        facts = {"rows": str(prepared.rows), "window": str(prepared.window) if prepared.window else "all"}
        shares = {str(share.part): str(share.rows) for share in prepared.shares}
        source = self._tried("source", "–", self._source)
        split = self._blob("split", prepared.split, shares)
        return self._blob("data set", prepared.data, facts, source, split)

    def _source(self) -> Link:
        facts = self.chain.provenance.source.model_dump(exclude_none=True)
        reason = "not asked: a source changes; the data set holds the rows that were read from it"
        return _link("source", facts.pop("where", "–"), Proof(None, reason), facts)

    def _config(self) -> Link:
        return self._blob("configuration", self.chain.prepared.config, {})

    def _commit(self) -> Link:
        made = self.chain.provenance
        proof = self.proofs.code(self.chain) if self.proofs else UNASKED
        states = {True: "uncommitted changes", False: "clean", None: "not known"}
        if made.dirty and made.diff is None:
            proof = Proof(False, "the tree was dirty, and its changes could not be read then")
        diff = [self._blob("uncommitted changes", made.diff, {})] if made.diff else []
        return _link("git commit", made.commit or "none", proof, {"tree": states[made.dirty]}, *diff)

    def _lock(self) -> Link:
        made = self.chain.provenance
        facts = {"python": made.python, "platform": made.platform, "environment": made.environment[:12]}
        if made.lock is None:
            return _link("lock file", "none", Proof(False, "the project had none: nothing names its packages"), facts)
        extras = [self._blob("lock file", blob, {"extra": name}) for name, blob in made.extra_locks.items()]
        return self._blob("lock file", made.lock, facts, *extras)

    def _image(self) -> Link:
        image = self.chain.provenance.image
        if image is None:
            return _link("image", "none", Proof(None, "it ran in no container"), {})
        return _link("image", image, Proof(None, "not asked: only the machine that holds an image knows it"), {})

    def _blob(self, kind: str, blob: Blob, facts: dict[str, str], *links: Link) -> Link:
        proof = self.proofs.blob(blob) if self.proofs else UNASKED
        return _link(kind, blob.digest, proof, {**facts, "bytes": str(blob.size_bytes)}, *links)

    def _tried(self, kind: str, name: str, build: Callable[[], Link]) -> Link:
        """Build a link, or say on its place why there is none."""
        try:
            return build()
        except (StoreError, TrackingError) as error:  # a server with accounts refuses what it does not have
            return Link(kind=kind, name=name, resolves=False, reason=str(error))


def _link(kind: str, name: str, proof: Proof, facts: dict[str, str], *links: Link) -> Link:
    told = {key: value for key, value in facts.items() if value}
    return Link(kind=kind, name=name, resolves=proof.resolves, reason=proof.reason, facts=told, links=links)


def _of_run(run: FoundRun) -> dict[str, str]:
    return {"status": run.status, "started": f"{run.started_at:%Y-%m-%d %H:%M:%S}"}
