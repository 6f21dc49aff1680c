"""The rules of promotion. One pure decision over all that matters."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from waterflow.records.evaluation import GateResult, RefreshResult, Verdict
from waterflow.records.promotion import Approval, Check, Decision, DecisionKind

NextStep = Literal["compare", "stage", "ask"]


class Outcome(NamedTuple):
    """A decision with its reason, or the step needed first.

    `compare` asks for a verdict against the present champion, `stage` for staging checks, `ask` for a person's answer.
    """

    kind: DecisionKind | NextStep
    reason: str


@dataclass(frozen=True)
class PromotionState:
    """All that decides what becomes of a version.

    `rows_end` and `champion_rows_end` are the ends of the two windows; of undated rows, the times of reading.
    `rolled_back` maps the action keys of fits that were rolled back to the rows of the ledger that say so. `checks` is
    None before staging. `shown_champion` is the champion that the person who answered was shown. `altered` is a
    clause that says how the registered version differs from what was compared. `lacks_new_rows` says that the
    version was not fitted on all rows of its window, as a version that serves has to be. With a `refresh_margin` the
    model is of the champion's own recipe and need only be not worse by that much; `refreshed` sums the differences of
    the refreshes since a version last won by being better.
    """

    model: str
    verdict: Verdict | None = None
    strategy: str = ""
    is_promotable: bool = True
    gate: GateResult | None = None
    action_key: str = ""
    is_dated: bool = False
    rows_end: datetime | None = None
    champion_version: int | None = None
    champion_model_id: str | None = None
    champion_rows_end: datetime | None = None
    rolled_back: Mapping[str, Decision] = field(default_factory=dict)
    checks: tuple[Check, ...] | None = None
    needs_approval: bool = False
    approval: Approval | None = None
    shown_champion: int | None = None
    altered: str = ""
    lacks_new_rows: bool = False
    refresh_margin: float | None = None
    refreshed: float = 0.0
    is_rollback: bool = False

    @property
    def is_better(self) -> bool:
        """Return whether the evidence shows a better model. Being merely as good is not enough."""
        return self.verdict is not None and self.verdict.outcome == "promote"


def decide(state: PromotionState) -> Outcome:
    """Return the first objection of the rules, else the promotion.

    A rollback needs no new evidence: its target was champion before.
    """
    for rule in (check_identity, check_staging) if state.is_rollback else RULES:
        outcome = rule(state)
        if outcome is not None:
            return outcome
    if state.is_rollback:
        return Outcome("rollback", "")
    reason = describe_evidence(state)
    reason = f"{reason}; approved by {state.approval.actor}" if state.approval else reason
    return Outcome("promote" if state.is_better else "refresh", reason)


def check_identity(state: PromotionState) -> Outcome | None:
    """Reject a version that is not the compared model."""
    return Outcome("reject", state.altered) if state.altered else None


def check_strategy(state: PromotionState) -> Outcome | None:
    """Hold a model whose strategy selects on the holdout."""
    if state.is_promotable:
        return None
    return Outcome("hold", f"exploratory: strategy {state.strategy!r} selects on the holdout, so it is never promoted")


def check_gate(state: PromotionState) -> Outcome | None:
    """Reject a model that misses the gate, whatever its evidence."""
    return Outcome("reject", state.gate.reason) if state.gate and not state.gate.passed else None


def check_recency(state: PromotionState) -> Outcome | None:
    """Hold a model whose rows are older than the champion's."""
    mine, theirs = state.rows_end, state.champion_rows_end
    if mine is None or theirs is None or mine >= theirs:
        return None
    what, that = ("its window ends", "that") if state.is_dated else ("its rows were read", "those")
    return Outcome(
        "hold",
        f"{what} {mine.isoformat()}, before {that} of champion {name_version(state.champion_version)} "
        f"({theirs.isoformat()}); an older window never replaces a newer one",
    )


def check_rollbacks(state: PromotionState) -> Outcome | None:
    """Hold a model with a fit that was rolled back. That one had good evidence, too."""
    row = state.rolled_back.get(state.action_key)
    if row is None:
        return None
    return Outcome(
        "hold",
        f"it has the rows, settings and code of version {row.from_version}, which {row.actor} rolled back on "
        f"{row.decided_at:%Y-%m-%d} ({row.reason}); "
        f"`waterflow rollback {state.model} --to {row.from_version}` restores that version",
    )


def check_verdict(state: PromotionState) -> Outcome | None:
    """Hold a model without evidence that it is better.

    It is compared with the present champion; a refresh of that one need not be better.
    """
    verdict = state.verdict
    if verdict is None or (verdict.champion_version, verdict.champion_model_id or state.champion_model_id) != (
        state.champion_version,
        state.champion_model_id,
    ):
        return Outcome("compare", f"no verdict yet against {name_version(state.champion_version)}")
    if verdict.outcome == "promote":
        return None
    return check_refresh(state, verdict)


def check_refresh(state: PromotionState, verdict: Verdict) -> Outcome | None:
    """Hold a refresh not shown to be good enough.

    It has to be as good as a champion of its own recipe. Margins do not add up: many refreshes, each a little worse,
    would end far below the version that won. So it has to be as good as that version, too, and the sum of the
    differences since has to stay within the margin.
    """
    margin, difference, refresh = state.refresh_margin, verdict.difference, verdict.refresh
    is_comparable = (
        verdict.disjoint and state.champion_version is not None and not any(part.worse for part in verdict.slices)
    )
    if margin is None or difference is None or verdict.low is None or verdict.low <= -margin or not is_comparable:
        return Outcome("hold", f"{verdict.outcome}: {verdict.reason}")
    if refresh is None or refresh.low is None or refresh.low <= -margin:
        return Outcome(
            "hold",
            f"a refresh of {name_version(state.champion_version)} that may be worse by {margin:g} than "
            f"{describe_refresh(refresh)}",
        )
    total = state.refreshed + difference
    if total >= -margin:
        return None
    return Outcome(
        "hold",
        f"a refresh that is not worse by {margin:g}, but refreshes since a version last won by being better sum to "
        f"{total:+.4g}, below the margin; a version that is better starts the sum again",
    )


def describe_evidence(state: PromotionState) -> str:
    """Return why a model may be promoted. Its verdict, or by how much a refresh differs."""
    verdict = state.verdict
    if verdict is None or state.is_better or verdict.difference is None or verdict.low is None:
        return verdict.reason if verdict else ""
    return (
        f"a refresh of {name_version(state.champion_version)}, not worse on {verdict.metric} by "
        f"{state.refresh_margin:g}: it differs by {verdict.difference:+.4g} (at least {verdict.low:+.4g}), and from "
        f"{describe_refresh(verdict.refresh)}; refreshes sum to {state.refreshed + verdict.difference:+.4g}"
    )


def describe_refresh(refresh: RefreshResult | None) -> str:
    """Return how a refresh compares with its reference."""
    if refresh is None:
        return "the version that last won by being better, with which it was not compared; run the pipeline again"
    winner = f"{name_version(refresh.version)}, which last won by being better"
    if refresh.difference is None or refresh.low is None:
        return f"{winner}: {refresh.problem}"
    return (
        f"{winner}, by {refresh.difference:+.4g} (at least {refresh.low:+.4g} at alpha {refresh.alpha:.2g}, "
        f"attempt {refresh.attempt} since a version was promoted)"
    )


def check_served_rows(state: PromotionState) -> Outcome | None:
    """Hold a version that has not seen the newest rows.

    `register` fits the recipe on all rows once it may be promoted. A recipe that wins only later, over another
    champion, was registered as it was compared.
    """
    if not state.lacks_new_rows:
        return None
    return Outcome(
        "hold",
        f"{describe_evidence(state)}; but this was shown only after it was registered, so the version was not fitted "
        "on all rows of its window; run the pipeline again to fit and register that model",
    )


def check_staging(state: PromotionState) -> Outcome | None:
    """Reject a model that fails a staging check."""
    if state.checks is None:
        return Outcome("stage", "no staging checks yet")
    failure = find_failure(state.checks)
    return Outcome("reject", failure) if failure else None


def check_approval(state: PromotionState) -> Outcome | None:
    """Require approval in place of the champion seen. A person gives it for the champion that the person saw."""
    approval = state.approval
    if not state.needs_approval:
        return None
    if approval is None:
        return Outcome(
            "ask",
            "promotion.approval is human and nobody was asked; start the run in Airflow, in a terminal, or with --yes",
        )
    if not approval.approved:
        return Outcome("reject", f"not approved by {approval.actor}")
    if state.champion_version == state.shown_champion:
        return None
    return Outcome(
        "hold",
        f"{approval.actor} approved it in the place of {name_version(state.shown_champion)}, but champion is now "
        f"{name_version(state.champion_version)}; run the pipeline again and ask again",
    )


Rule = Callable[[PromotionState], Outcome | None]
RULES: tuple[Rule, ...] = (
    check_identity,
    check_strategy,
    check_gate,
    check_recency,
    check_rollbacks,
    check_verdict,
    check_served_rows,
    check_staging,
    check_approval,
)


def is_waiting(row: Decision, outcome: Outcome, *, can_be_staged_again: bool) -> bool:
    """Return whether a run of the same model decides again.

    It does when the evidence was good and nothing but staging stands in the way now, after a hold (nobody was asked, or
    an obstacle is gone) or after a failed staging check under another budget, code or machine.
    """
    is_good = row.verdict is not None and outcome.kind == "stage"
    return is_good and (row.kind == "hold" or (row.kind == "reject" and can_be_staged_again))


def find_failure(checks: Sequence[Check]) -> str | None:
    """Return the first failed check as text. None when all passed."""
    for check in checks:
        if not check.passed:
            return f"staging check {check.name}: found {check.actual}, expected {check.expected}"
    return None


def name_version(version: int | None) -> str:
    """Return `version 3`, or `no version`."""
    return "no version" if version is None else f"version {version}"
