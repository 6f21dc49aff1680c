from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from support.promotion import FAILED, VERDICT, champion_of, entered, kinds

from waterflow import workflow
from waterflow.errors import UnreachableError
from waterflow.promotion import champion_alias
from waterflow.records.promotion import Approval
from waterflow.resources import Resources
from waterflow.steps.promote import promote
from waterflow.tracking.registry import CHAMPION, ModelRegistry

Writer = Callable[..., str]

HOLD = VERDICT.model_copy(update={"outcome": "hold", "reason": "no worthwhile gain"})


def test_the_winner_takes_the_champions_place(resources: Resources, pipeline: Writer) -> None:
    """The ledger says so, then the alias, the run and the version do."""
    name = pipeline()
    prepared, registered = entered(name, resources)
    promoted = promote(prepared, registered, resources)
    row = resources.ledger.head(name)
    assert row is not None
    assert row == promoted.decision
    assert (row.kind, row.sequence, row.from_version, row.to_version, row.version) == ("promote", 1, None, 1, 1)
    assert (row.run_id, row.dag_run_id) == (prepared.parent_run_id, "run_1")
    assert row.verdict == VERDICT
    assert row.actor.startswith("cli/")
    assert champion_of(name, resources) == 1
    assert "champion" in promoted.aliases
    run = resources.runs.client.get_run(prepared.parent_run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["waterflow.decision"] == f"promote: {VERDICT.reason}"
    assert "Decision 1 of the ledger" in run.data.tags["mlflow.note.content"]
    version = resources.registry.get_version(name, 1)
    assert version is not None
    assert version.tags["waterflow.decision"] == f"promote: {VERDICT.reason}"


def test_a_repetition_finds_its_row(resources: Resources, pipeline: Writer) -> None:
    """A retry neither decides again nor writes the note twice."""
    name = pipeline()
    prepared, registered = entered(name, resources)
    assert promote(prepared, registered, resources) == promote(prepared, registered, resources)
    assert kinds(name, resources) == ["promote"]
    assert resources.runs.get_run(prepared.parent_run_id).tags["mlflow.note.content"].count("Decision") == 1


@pytest.mark.parametrize(
    ("changes", "kind", "reason"),
    [
        ({"verdict": HOLD}, "hold", "hold: no worthwhile gain"),
        ({"checks": (FAILED,)}, "reject", "staging check latency: found p95 300.0 ms"),
    ],
    ids=["verdict", "staging"],
)
def test_what_is_not_promoted_leaves_the_champion(
    resources: Resources, pipeline: Writer, changes: dict[str, Any], kind: str, reason: str
) -> None:
    """The decision is a row all the same, with its reason."""
    name = pipeline()
    promote(*entered(name, resources, "run_1"), resources)
    against = changes.pop("verdict", VERDICT).model_copy(update={"champion_version": 1})
    done = promote(*entered(name, resources, "run_2", against, **changes), resources).decision
    assert done is not None
    assert (done.kind, done.from_version, done.to_version, done.version) == (kind, 1, 1, 2)
    assert done.reason.startswith(reason)
    assert champion_of(name, resources) == 1


def test_a_rejected_version_is_no_challenger(resources: Resources, pipeline: Writer) -> None:
    """What failed its checks must not be served beside the champion."""
    name = pipeline()
    prepared, registered = entered(name, resources, checks=(FAILED,))
    resources.registry.set_alias(name, "challenger", registered.version)
    assert promote(prepared, registered, resources).aliases == ()


def test_a_server_lost_before_the_alias_is_made_good_by_a_retry(
    resources: Resources, pipeline: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row stands, the alias follows later, and once."""
    name = pipeline()
    prepared, registered = entered(name, resources)
    moved: list[int] = []
    real = ModelRegistry.set_alias

    def lost(*_: object) -> None:
        raise UnreachableError("MLflow does not answer")

    def counted(store: ModelRegistry, model: str, alias: str, version: int) -> None:
        moved.append(version)
        real(store, model, alias, version)

    monkeypatch.setattr(ModelRegistry, "set_alias", lost)
    with pytest.raises(UnreachableError):
        promote(prepared, registered, resources)
    assert (kinds(name, resources), champion_of(name, resources)) == (["promote"], None)
    assert champion_alias.verify(name, resources) == [
        "row 1 made version 1 champion, but the alias is still on no version; run the step promote again to finish it"
    ]
    monkeypatch.setattr(ModelRegistry, "set_alias", counted)
    promote(prepared, registered, resources)
    promote(prepared, registered, resources)
    assert (kinds(name, resources), moved, champion_of(name, resources)) == (["promote"], [1], 1)
    assert champion_alias.verify(name, resources) == []


def test_an_alias_moved_by_hand_is_noted_and_compared_with(resources: Resources, pipeline: Writer) -> None:
    """The next run sees the model that really is champion, and says who it was."""
    name = pipeline()
    promote(*entered(name, resources, "run_1"), resources)
    against = VERDICT.model_copy(update={"champion_version": 1})
    promote(*entered(name, resources, "run_2", HOLD.model_copy(update={"champion_version": 1})), resources)
    prepared, registered = entered(name, resources, "run_3", against)
    resources.registry.set_alias(name, CHAMPION, 2)
    assert "was moved by hand" in champion_alias.verify(name, resources)[0]
    done = promote(prepared, registered, resources).decision
    assert done is not None
    assert kinds(name, resources) == ["promote", "hold", "manual", "hold"]
    manual = resources.ledger.entries(name)[2]
    assert (manual.from_version, manual.to_version, manual.run_id) == (1, 2, None)
    # The same rows and settings: judged again, nothing is better any more.
    assert done.verdict is not None
    assert (done.verdict.champion_version, done.verdict.outcome) == (2, "hold")
    assert champion_of(name, resources) == 2
    files = [entry.path for entry in resources.runs.client.list_artifacts(prepared.parent_run_id)]
    assert "verdict_against_2" in files
    assert champion_alias.verify(name, resources) == []


def test_a_call_that_arrives_late_is_no_hand(resources: Resources, pipeline: Writer) -> None:
    """The process that made it puts the alias right, and a third one waits for that."""
    name = pipeline()
    promote(*entered(name, resources, "run_1"), resources)
    against = VERDICT.model_copy(update={"champion_version": 1})
    promote(*entered(name, resources, "run_2", against), resources)
    resources.registry.set_alias(name, CHAMPION, 1)  # the late call of the first
    correction = Timer(1.0, lambda: workflow.open_resources(resources.project).registry.set_alias(name, CHAMPION, 2))
    correction.start()
    head = champion_alias.reconcile_alias(name, resources)
    correction.join()
    assert head is not None
    assert (head.kind, head.to_version) == ("promote", 2)
    assert kinds(name, resources) == ["promote", "promote"]
    assert champion_of(name, resources) == 2


def test_an_alias_taken_away_is_noted(resources: Resources, pipeline: Writer) -> None:
    """Also when the champion's version was deleted: MLflow drops its alias with it."""
    name = pipeline()
    promote(*entered(name, resources, "run_1"), resources)
    resources.runs.client.delete_model_version(name, "1")
    promote(*entered(name, resources, "run_2"), resources)
    rows = resources.ledger.entries(name)
    assert [(row.kind, row.to_version) for row in rows] == [("promote", 1), ("manual", None), ("promote", 2)]
    assert champion_of(name, resources) == 2


def test_a_champion_from_before_the_ledger_is_noted(resources: Resources, pipeline: Writer) -> None:
    """Who comes with a registry keeps its champion."""
    name = pipeline()
    _, registered = entered(name, resources, "run_1")
    resources.registry.set_alias(name, CHAMPION, registered.version)
    champion_alias.reconcile_alias(name, resources)
    assert [(row.kind, row.to_version) for row in resources.ledger.entries(name)] == [("manual", 1)]


def test_two_runs_at_once_are_decided_one_after_the_other(resources: Resources, pipeline: Writer) -> None:
    """Both were compared without a champion; the ledger lets one in, and the other is decided again, with it in place.

    If the later one came first, its rows are the newer ones, and the other stands back unjudged.
    """
    name = pipeline()
    both = [entered(name, resources, f"run_{number}") for number in (1, 2)]

    def decide(entry: Any) -> Any:
        own = workflow.open_resources(resources.project)
        return promote(*entry, own).decision

    with ThreadPoolExecutor(2) as pool:
        done = sorted(pool.map(decide, both), key=lambda row: row.sequence)
    assert [(row.sequence, row.kind) for row in done] == [(1, "promote"), (2, "hold")]
    if done[0].version == 1:
        assert done[1].verdict.champion_version == 1
    else:
        assert "its rows were read" in done[1].reason
    assert champion_of(name, resources) == done[0].version
    assert champion_alias.verify(name, resources) == []


def test_undated_rows_that_were_read_earlier_never_take_the_place(resources: Resources, pipeline: Writer) -> None:
    """A run that was paused before it was evaluated does not replace one that read its rows since."""
    name = pipeline()
    early = entered(name, resources, "run_1")
    late = entered(name, resources, "run_2")
    promote(*late, resources)
    done = promote(*early, resources).decision
    assert done is not None
    assert done.kind == "hold"
    assert "its rows were read" in done.reason
    assert champion_of(name, resources) == late[1].version


def test_quick_is_a_hold(resources: Resources, pipeline: Writer) -> None:
    """It explores, and the ledger says so."""
    name = pipeline(defaults=[{"/strategy": "quick"}, {"/model@candidates": ["gaussian_nb"]}])
    done = promote(*entered(name, resources), resources).decision
    assert done is not None
    assert (done.kind, done.to_version) == ("hold", None)
    assert done.reason.startswith("exploratory")


def test_a_missed_gate_is_a_rejection(resources: Resources, pipeline: Writer) -> None:
    """A good verdict does not help against the floor."""
    name = pipeline(gate={"metric": "accuracy", "at_least": 0.999})
    done = promote(*entered(name, resources, full=True), resources).decision
    assert done is not None
    assert (done.kind, done.to_version) == ("reject", None)
    assert done.reason.endswith("misses the gate: at least 0.999")


@pytest.mark.parametrize(
    ("answer", "kind", "actor", "reason"),
    [
        (Approval(approved=True, actor="ada"), "promote", "ada", "approved by ada"),
        (Approval(approved=False, actor="ada"), "reject", "ada", "not approved by ada"),
        (None, "hold", "cli/", "nobody was asked"),
    ],
    ids=["yes", "no", "nobody"],
)
def test_a_persons_answer_decides(
    resources: Resources, pipeline: Writer, answer: Approval | None, kind: str, actor: str, reason: str
) -> None:
    """And the ledger says whose it was."""
    name = pipeline(promotion={"approval": "human"})
    done = promote(*entered(name, resources), resources, answer).decision
    assert done is not None
    assert done.kind == kind
    assert done.actor.startswith(actor)
    assert reason in done.reason
    assert champion_of(name, resources) == (1 if kind == "promote" else None)


def test_a_twin_of_what_was_rolled_back_waits(resources: Resources, pipeline: Writer) -> None:
    """The same rows, settings and code had good evidence the first time, too."""
    name = pipeline()
    promote(*entered(name, resources, "run_1"), resources)
    second = entered(name, resources, "run_2", VERDICT.model_copy(update={"champion_version": 1}))
    promote(*second, resources)
    resources.ledger.append(
        resources.ledger.head(name), model=name, kind="rollback", version=1, to_version=1, reason="wrong", actor="ada"
    )
    champion_alias.move_alias(name, resources)
    third = entered(name, resources, "run_3", VERDICT.model_copy(update={"champion_version": 1}))
    done = promote(*third, resources).decision
    assert done is not None
    assert done.kind == "hold"
    assert "of version 2, which ada rolled back" in done.reason
    # And the run whose version was rolled back does not come back by a repetition.
    promote(*second, resources)
    assert champion_of(name, resources) == 1


def test_a_window_before_the_champions_never_takes_its_place(
    resources: Resources, pipeline: Writer, tmp_path: Path
) -> None:
    """Told by the windows' ends, whichever run comes first."""
    import pandas as pd
    from support.projects import write_rows

    from waterflow.datasets.loaders import iris
    from waterflow.records.run import Window

    rows = iris().sample(frac=1, random_state=1).assign(day=pd.date_range("2026-01-01", periods=150).astype("str"))
    write_rows(resources.project, rows, "dated.csv")
    name = pipeline(
        dataset={"kind": "csv", "path": "data/dated.csv"}, time_column="day", split={"kind": "time"}, gate=None
    )
    until = {month: Window(end=datetime(2026, month, 28, tzinfo=UTC)) for month in (2, 3)}
    promote(*entered(name, resources, "march", window=until[3]), resources)
    done = promote(*entered(name, resources, "february", window=until[2]), resources).decision
    assert done is not None
    assert (done.kind, done.to_version) == ("hold", 1)
    assert "an older window never replaces a newer one" in done.reason
