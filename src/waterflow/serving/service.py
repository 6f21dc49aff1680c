"""What a worker holds. Loaded models, the state that it follows, and its counts."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from waterflow.serving.access import Access
from waterflow.serving.answering import Answer, AskedRows, Observer, RequestError, answer
from waterflow.serving.model_loading import ServedModel
from waterflow.serving.reports import WorkerReport
from waterflow.serving.row_checks import BadRowsError
from waterflow.serving.settings import DEFAULT_MAX_BODY_BYTES
from waterflow.serving.state import ServiceState
from waterflow.serving.switchboard import Switchboard, token_of

logger = logging.getLogger(__name__)


@dataclass
class Service:
    """The models of one worker. A swap replaces an entry of `models`; requests under way keep the one they have.

    `pending` are loaded, and answer from the moment that the switchboard has for all workers; `shadows` answer for the
    record. `observers` see each answer after it was computed, in the thread that computed it.
    """

    folder: Path
    state: ServiceState
    report: WorkerReport
    access: Access = field(default_factory=Access)
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    models: dict[str, ServedModel] = field(default_factory=dict)
    switchboard: Switchboard = field(init=False)
    pending: dict[str, ServedModel] = field(default_factory=dict)
    shadows: dict[str, ServedModel] = field(default_factory=dict)
    observers: list[Observer] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Open the switchboard of the service's folder."""
        self.switchboard = Switchboard(self.folder, self.state.pipelines)

    def find_model(self, pipeline: str, version: str | None = None) -> ServedModel:
        """Return the model that answers for a pipeline.

        Raises RequestError: 404 for an unknown pipeline or a version that is not served, 409 without a champion.
        """
        if pipeline in self.pending:
            self.switch_due(pipeline)
        model = self.models.get(pipeline)
        if model is None:
            if pipeline not in self.state.pipelines:
                valid = ", ".join(self.state.pipelines) or "none"
                raise RequestError(404, f"pipeline: {pipeline[:100]!r} is not served here; valid: {valid}")
            reason = self.report.problems.get(pipeline) or self.state.problems.get(pipeline)
            raise RequestError(
                409, f"pipeline {pipeline} has no champion that can answer: {reason or 'no version was promoted yet'}"
            )
        if version is not None and version != str(model.assignment.version.version):
            served = model.assignment.version.version
            raise RequestError(404, f"version: {version[:100]!r} of {pipeline} is not served; valid: {served}")
        return model

    def switch_due(self, pipeline: str) -> None:
        """Let the pending version answer, if its moment has come."""
        model = self.pending[pipeline]
        if self.switchboard.is_due(pipeline, token_of(model.assignment.version)):
            del self.pending[pipeline]
            self.switch_to(pipeline, model)

    def switch_to(self, pipeline: str, model: ServedModel) -> None:
        """Let a loaded model answer from now on. Requests under way finish on the one before."""
        version = model.assignment.version
        self.models[pipeline] = model
        self.report.ready.pop(pipeline, None)
        self.report.note_loaded(pipeline, version.model_id, version.version, model.path, datetime.now(UTC))
        logger.info("%s: version %d answers", pipeline, version.version)

    def answer(self, model: ServedModel, asked: AskedRows) -> Answer:
        """Answer rows, and show the answer to the observers. Raises RequestError for rows that are refused."""
        try:
            answered = answer(model, asked)
        except BadRowsError as error:
            raise RequestError(422, str(error), error.breaks) from error
        for observe in self.observers:
            observe(answered)
        return answered

    @property
    def is_ready(self) -> bool:
        """Whether every pipeline that has a champion can answer."""
        return all(name in self.models for name in self.state.assignments)
