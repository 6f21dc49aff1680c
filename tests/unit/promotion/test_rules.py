import pytest
from support.projects import config_of
from support.promotion import FAILED, PASSED, VERDICT

from waterflow.promotion.rules import weigh
from waterflow.records import Approval

AUTO = config_of()
HUMAN = config_of(promotion={"approval": "human"})
YES, NO = Approval(approved=True, actor="ada"), Approval(approved=False, actor="ada")
AGAINST_4 = VERDICT.model_copy(update={"champion_version": 4})
UNSURE = VERDICT.model_copy(update={"outcome": "insufficient evidence", "reason": "12 rows are fewer than 30"})


@pytest.mark.parametrize(
    ("config", "verdict", "checks", "shown", "approval", "kind", "reason"),
    [
        (AUTO, VERDICT, (PASSED,), None, None, "promote", "better by 0.1"),
        (AUTO, UNSURE, (PASSED,), None, None, "hold", "insufficient evidence: 12 rows"),
        (AUTO, UNSURE, (FAILED,), None, None, "hold", "insufficient evidence"),
        (AUTO, VERDICT, (PASSED, FAILED), None, None, "reject", "staging check latency"),
        (HUMAN, VERDICT, (PASSED,), None, YES, "promote", "approved by ada"),
        (HUMAN, VERDICT, (PASSED,), None, NO, "reject", "not approved by ada"),
        (HUMAN, VERDICT, (PASSED,), None, None, "hold", "nobody was asked"),
        (HUMAN, VERDICT, (FAILED,), None, YES, "reject", "staging check latency"),
        (HUMAN, UNSURE, (PASSED,), None, YES, "hold", "insufficient evidence"),
        (HUMAN, AGAINST_4, (PASSED,), 3, YES, "hold", "in the place of version 3, but champion is now version 4"),
    ],
)
def test_verdict_checks_and_answer_decide_in_this_order(  # type: ignore[no-untyped-def]
    config, verdict, checks, shown, approval, kind, reason
) -> None:
    """Who approves cannot make up for evidence, and approves only what was shown."""
    found = weigh(config, verdict, checks, shown, approval)
    assert found[0] == kind
    assert reason in found[1]
