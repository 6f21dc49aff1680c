"""A second version that answers for the record alone.

Answers of the champion wait in a bounded queue; a thread asks the shadow the same and puts its answers on record, by
the same ids, in the arm `shadow`. What does not fit is dropped and counted. A request never waits for a shadow, though
both compute in one process.
"""

import logging
import threading
from collections import deque
from dataclasses import replace

from waterflow.serving.answering import Answer, Observer, RequestError, answer
from waterflow.serving.row_checks import BadRowsError
from waterflow.serving.service import Service

logger = logging.getLogger(__name__)

MOST_ROWS = 10_000


class ShadowRunner:
    """Shows each answer's rows to the shadow of its pipeline."""

    def __init__(self, service: Service, record: Observer, most_rows: int = MOST_ROWS) -> None:
        """Start the thread. At most so many rows wait."""
        self._service, self._record, self._most_rows = service, record, most_rows
        self._waiting: deque[Answer] = deque()
        self._rows = 0
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="shadow", daemon=True).start()

    def __call__(self, answered: Answer) -> None:
        """Let the shadow answer the same rows later."""
        pipeline = answered.model.assignment.version.pipeline
        if pipeline not in self._service.shadows:
            return
        with self._changed:
            if self._rows + answered.asked.rows > self._most_rows:
                self._service.report.shadow_of(pipeline).dropped += answered.asked.rows
                return
            self._waiting.append(answered)
            self._rows += answered.asked.rows
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                answered = self._waiting.popleft()
            self._answer(answered)
            with self._changed:
                self._rows -= answered.asked.rows

    def _answer(self, answered: Answer) -> None:
        pipeline, rows = answered.model.assignment.version.pipeline, answered.asked.rows
        shadow, counts = self._service.shadows.get(pipeline), self._service.report.shadow_of(pipeline)
        if shadow is None:
            return
        try:
            self._record(replace(answer(shadow, answered.asked), ids=answered.ids, at=answered.at))
            counts.answered += rows
        except (BadRowsError, RequestError):
            counts.failed += rows
        except Exception:
            logger.exception("%s: the shadow's answer cannot be recorded", pipeline)
            counts.failed += rows
