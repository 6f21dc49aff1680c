"""The task that asks a person for approval."""

import datetime
from typing import Any


def build_approval(timeout: datetime.timedelta) -> Any:
    """Build the task. No answer within `timeout` counts as a no.

    It is skipped when there is nothing to approve.
    """
    from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
    from airflow.sdk.exceptions import AirflowSkipException

    class AskPerson(ApprovalOperator):
        """Airflow's approval, but a no skips nothing.

        `promote` records it in the ledger, with its author.
        """

        def execute(self, context: Any) -> None:
            registered = context["ti"].xcom_pull(task_ids="register")
            if not registered["awaits_approval"]:
                raise AirflowSkipException(f"nothing to approve: {registered['reason']}")
            super().execute(context)

        def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
            return HITLOperator.execute_complete(self, context, event)

    question = "ti.xcom_pull(task_ids='register', key='question')"
    return AskPerson(
        task_id="approve",
        subject=f"{{{{ ({question} or {{}}).get('subject', 'nothing to approve') }}}}",
        body=f"{{{{ ({question} or {{}}).get('body', '') }}}}",
        defaults=ApprovalOperator.REJECT,
        response_timeout=timeout,
    )
