"""Records of promotion: staging checks, approvals, decisions and looks."""

from datetime import datetime
from typing import Literal

from waterflow.records.base import Record
from waterflow.records.data import Blob
from waterflow.records.evaluation import Evaluated, Verdict
from waterflow.records.run import Window

DecisionKind = Literal["promote", "refresh", "canary", "hold", "reject", "rollback", "manual"]


class Check(Record):
    """One staging check: requirement, finding, and whether it passed."""

    name: str
    passed: bool
    actual: str
    expected: str


class StagedVersion(Record):
    """The staging checks of a version. Its run logs them."""

    version: int
    checks: tuple[Check, ...]


class Approval(Record):
    """A person's answer to whether a version may become champion."""

    approved: bool
    actor: str


class Decision(Record):
    """A row of the ledger: one decision on `version`. It names the champion before and after.

    `promote` was won by being better, `refresh` by being no worse than a champion of the same recipe. `hold`, `reject`
    and `canary` leave the champion as it was; `manual` records an alias that something else moved. A number can name
    two models once a registered model was deleted: `model_id` and `model_digest`, the sha256 of its files, name one.
    `run_id` is the MLflow run that the decision is about, `actor` who or what made it. Times are in UTC; a decision is
    effective when it is made unless `effective_at` names another time.
    """

    model: str
    sequence: int
    kind: DecisionKind
    from_version: int | None
    to_version: int | None
    version: int | None
    reason: str
    actor: str
    run_id: str | None = None
    dag_run_id: str | None = None
    window: Window | None = None
    verdict: Verdict | None = None
    decided_at: datetime
    model_id: str | None = None
    model_digest: str | None = None
    effective_at: datetime | None = None

    @property
    def champion(self) -> tuple[int | None, str | None]:
        """The version and logged model that are champion. Only a row that made one has them."""
        return self.to_version, self.model_id

    @property
    def champion_since(self) -> datetime:
        """The time from which the decision counts."""
        return self.effective_at or self.decided_at


class Look(Record):
    """A row of looks: one evaluation on held-out rows.

    `rows` holds the identities of the `row_count` rows that it compares on; `number` counts the looks at the most
    looked-at of them, this one included; `alpha` is what it may spend.
    """

    model: str
    sequence: int
    evaluation_key: str
    run_id: str
    rows: Blob
    row_count: int
    number: int
    alpha: float
    looked_at: datetime


class Registered(Record):
    """The version that a run registered, and its fate.

    `checks` are those of staging; `awaits_approval` says that only a person's answer is missing to make it champion.
    `decision` is set by the step `promote`. `new` is False if there was nothing to register or decide: `version` is
    then the one that has this model.
    """

    model: str
    version: int
    aliases: tuple[str, ...]
    reason: str
    evaluated: Evaluated
    shown_metrics: tuple[str, ...]
    parent_run_id: str
    experiment_id: str
    checks: tuple[Check, ...] = ()
    awaits_approval: bool = False
    decision: Decision | None = None
    new: bool = True
