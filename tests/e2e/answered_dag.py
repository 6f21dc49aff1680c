"""Run the DAG of `flowers` again and again in this process, while a second thread plays the person who answers.

    python answered_dag.py Reject nobody Approve - =

A word for each run: the answer of a person called ada; `nobody` lets the time run out; `-` and `=` answer nothing, for
there should be no question: `-` only explores, and `=` changes nothing. All others are forced. Prints a JSON line for
each run: the tasks' states, and what was asked.
"""

import json
import os
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from waterflow.orchestration import in_process


def answer(word: str, asked: dict[str, Any], over: threading.Event) -> None:
    """Wait for the question, keep it, and answer it as Airflow's API does, or as its scheduler when time runs out."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    query = select(TaskInstance).where(TaskInstance.state == "awaiting_input")
    while not over.wait(0.3):
        with create_session() as session:
            waiting = session.scalars(query.options(joinedload(TaskInstance.hitl_detail))).all()
            if not waiting:
                continue
            detail = waiting[0].hitl_detail
            asked.update(subject=detail.subject, body=detail.body, waits=waiting[0].trigger_timeout is not None)
            timed_out = word == "nobody"
            detail.chosen_options = list(detail.defaults) if timed_out else [word]
            detail.responded_by = None if timed_out else {"id": "7", "name": "ada"}
            detail.responded_at = datetime.now(UTC)
            detail.params_input = {}
            event = TriggerEvent(detail.as_resume_event_payload(timedout=timed_out))
            handle_event_submit(event, task_instance=waiting[0], session=session)
        return


def main() -> None:
    """Run the DAG once for each word."""
    in_process.configure_airflow(Path(os.environ["WATERFLOW_HOME"]))
    with in_process.redirected(Path(os.environ["WATERFLOW_HOME"]) / "answered.log") as terminal:
        in_process.migrate_metadata(terminal)
        in_process.serve_newest_api()
        dag = in_process.load_dag("flowers")
        for word in sys.argv[1:]:
            asked: dict[str, Any] = {}
            over = threading.Event()
            person = threading.Thread(target=answer, args=(word, asked, over))
            person.start()
            # Who has answered for a model is not asked about it again, unless the run is forced.
            run = dag.test(run_conf={"-": {"strategy": "quick"}, "=": {}}.get(word, {"force": True}))
            over.set()
            person.join()
            states = {task.task_id: str(task.state) for task in run.get_task_instances()}
            print(json.dumps({"run": str(run.state), "states": states, "asked": asked}), file=terminal, flush=True)
            time.sleep(1.1)  # a manual run is named by its second


if __name__ == "__main__":
    main()
