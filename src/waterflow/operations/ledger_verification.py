"""Verification of a pipeline's ledger. Covers rows, marks, registry, and the files that rows name."""

from collections.abc import Iterator
from itertools import chain

from waterflow.errors import LedgerError, StoreError, TrackingError
from waterflow.ledger.chain import Breaks
from waterflow.lineage.verification import Verification, Verifier
from waterflow.promotion.champion_alias import digest_of_model
from waterflow.promotion.champion_alias import verify as compare_with_registry
from waterflow.records.promotion import Decision
from waterflow.resources import Resources
from waterflow.tracking.registry import Version
from waterflow.tracking.tags import LEDGER_SEQUENCE


def verify_ledger(model: str, resources: Resources) -> Breaks:
    """Return what is wrong with a pipeline's ledger.

    Rows that do not verify are named first; only rows that do are compared with the registry and asked for their files:
    models, the records of their runs, the predictions of verdicts and the rows of looks, each by its digest.
    """
    found = verify_rows(model, resources)
    if found.problems:
        return found
    rows, verifier = resources.ledger.entries(model), Verifier(resources)
    files = chain.from_iterable(_verify_files(row, resources, verifier) for row in rows)
    return Breaks(list(dict.fromkeys([*files, *_verify_looks(model, resources, verifier)])), found.notes)


def verify_rows(model: str, resources: Resources) -> Breaks:
    """Return what is wrong with rows, marks and registry. No file is fetched."""
    found = resources.ledger.verify(model)
    if found.problems:
        return found
    newest = len(resources.ledger.entries(model))
    missing = [
        f"row {sequence} is missing: version {version.version} in the registry was decided by it"
        for version in _list_versions(model, resources)
        if (sequence := version.tags.get(LEDGER_SEQUENCE, "")).isdecimal() and int(sequence) > newest
    ]
    accepted = {_name_of(note) for note in found.notes}
    replayed = compare_with_registry(model, resources)
    problems = [line for line in replayed if _name_of(line) not in accepted]
    return Breaks([*missing, *problems], [*found.notes, *(line for line in replayed if line not in problems)])


def _name_of(line: str) -> tuple[str, ...]:
    """Return the row that a line is about."""
    return tuple(line.split()[:2])


def find_rows_problem(model: str, resources: Resources) -> str | None:
    """Return what is wrong with rows in one line. None where nothing is."""
    try:
        return "; ".join(verify_rows(model, resources).problems) or None
    except LedgerError as error:
        return str(error)


def _verify_files(row: Decision, resources: Resources, verifier: Verifier) -> Iterator[str]:
    if row.model_id is not None:
        yield from _describe(row.sequence, _verify_model(row, row.model_id, resources, verifier))
    if row.run_id is not None:
        yield from _describe(row.sequence, _verify_records(row.run_id, resources))
    if row.verdict is not None and row.verdict.predictions is not None:
        yield from _describe(row.sequence, verifier.verify_blob(row.verdict.predictions))


def _verify_model(row: Decision, model_id: str, resources: Resources, verifier: Verifier) -> Verification:
    digest = digest_of_model(row.model, model_id, resources)
    if digest is None:
        return Verification(False, f"model {model_id} is gone from MLflow, or no trusted key signed it")
    if digest != row.model_digest:
        return Verification(False, f"the files of model {model_id} are not those that were decided on")
    return verifier.verify_model(model_id, row.model)


def _verify_records(run_id: str, resources: Resources) -> Verification:
    run = resources.runs.find_run(run_id, deleted_too=True)
    if run is None:
        return Verification(False, f"run {run_id} is gone from MLflow")
    try:
        resources.runs.verify_records(run)
    except StoreError as error:
        return Verification(False, str(error))
    return Verification(True)


def _verify_looks(model: str, resources: Resources, verifier: Verifier) -> Iterator[str]:
    for look in resources.ledger.looks(model):
        yield from (f"looks: {line}" for line in _describe(look.sequence, verifier.verify_blob(look.rows)))


def _describe(sequence: int, found: Verification) -> Iterator[str]:
    if found.resolves is False:
        yield f"row {sequence}: {found.reason}"


def _list_versions(model: str, resources: Resources) -> list[Version]:
    try:
        return list(resources.registry.list_versions(model))
    except TrackingError:  # no version was ever registered
        return []
