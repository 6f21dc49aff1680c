"""Answers of the service as rows of the prediction log."""

import time
from collections.abc import Sequence
from typing import Any

from waterflow.records.serving import Arm
from waterflow.serving.answering import Answer
from waterflow.serving.prediction_log.frames import ServedRows
from waterflow.serving.prediction_log.spool import PredictionLog
from waterflow.serving.row_checks import MISSING


class AnswerRecorder:
    """Puts each answer on record, as its pipeline's settings say."""

    def __init__(self, log: PredictionLog, arm: Arm = "champion") -> None:
        self._log, self._arm = log, arm

    def __call__(self, answer: Answer) -> None:
        """Record an answer. Features are recorded as they were received."""
        assignment, scores = answer.model.assignment, answer.scores
        version, received = assignment.version, answer.asked.columns
        rows = ServedRows(
            id=answer.ids[0].partition("-")[0],
            at=time.time() - answer.seconds,
            pipeline=version.pipeline,
            version=version.version,
            model_id=version.model_id,
            sequence=version.sequence,
            arm=self._arm,
            keys=answer.asked.keys,
            columns={name: _plain(received[name]) for name in answer.columns if name in received},
            labels=scores.labels,
            classes=scores.classes,
            probabilities=None if scores.probabilities is None else scores.probabilities.tolist(),
            latency_seconds=answer.seconds,
        )
        self._log.append(rows, assignment.log)


def _plain(values: Sequence[Any]) -> Sequence[Any]:
    """Return values with nulls for what was left out."""
    return [None if value is MISSING else value for value in values] if MISSING in values else values
