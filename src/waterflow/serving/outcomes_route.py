"""The request by which outcomes of predictions are posted."""

import asyncio
from functools import cached_property
from typing import Any

import msgspec
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from waterflow.config.compose import compose_profile
from waterflow.config.project import find_project
from waterflow.errors import LedgerError, StoreError, UnreachableError
from waterflow.ledger.prediction_index import PredictionIndex
from waterflow.records.prediction_log import PostedOutcome, RecordedOutcomes
from waterflow.serving.access import RIGHT, Right
from waterflow.serving.answering import RequestError
from waterflow.serving.prediction_log.outcomes import record_outcomes
from waterflow.serving.service import Service

MOST_OUTCOMES = 10_000
VALID = 'send {"outcomes": [{"id": …, "outcome": …}]}, or `key` and `known_at` in place of `id`'


class OutcomesRoute:
    """Records posted outcomes. The database is opened at the first."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, request: Request) -> Response:
        """Record outcomes of a pipeline, each on its own.

        Raises RequestError: 401, 403 or 404 for who and what, 413 and 422 for the body, 503 while the database is
        away; posting again is then safe.
        """
        pipeline = request.path_params["pipeline"]
        if not self._service.access.is_open and request.scope.get(RIGHT, Right.NONE) < Right.OUTCOMES:
            raise RequestError(403, "this token may predict, not post outcomes; send the other one")
        if pipeline not in self._service.state.pipelines:
            valid = ", ".join(self._service.state.pipelines) or "none"
            raise RequestError(404, f"pipeline: {pipeline[:100]!r} is not served here; valid: {valid}")
        posted = _read(await _body_of(request, self._service.max_body_bytes))
        told = await asyncio.to_thread(self._record, pipeline, posted)
        return Response(msgspec.json.encode(told.to_json()), media_type="application/json")

    @cached_property
    def _index(self) -> PredictionIndex:
        profile = compose_profile(find_project(), ())
        return PredictionIndex(profile.find_database())

    def _record(self, pipeline: str, posted: list[PostedOutcome]) -> RecordedOutcomes:
        assignment = self._service.state.assignments.get(pipeline)
        if assignment is None:
            raise RequestError(409, f"pipeline {pipeline} has had no champion; nothing was predicted")
        try:
            return record_outcomes(pipeline, posted, self._index, keep_days=assignment.log.keep_days)
        except (UnreachableError, LedgerError, StoreError) as error:
            raise RequestError(503, f"outcomes cannot be recorded now: {error}; post them again") from error


async def _body_of(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    try:
        async for part in request.stream():
            parts.append(part)
            size += len(part)
            if size > limit:
                raise RequestError(413, f"the body is larger than {limit} bytes; send fewer outcomes at once")
    except ClientDisconnect as error:
        raise RequestError(400, "the connection ended before the body did") from error
    return b"".join(parts)


def _read(body: bytes) -> list[PostedOutcome]:
    try:
        content: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RequestError(400, f"the body is no JSON ({error})") from error
    if not isinstance(content, dict) or set(content) != {"outcomes"} or not isinstance(content["outcomes"], list):
        raise RequestError(422, f"the body has another form; {VALID}")
    if len(content["outcomes"]) > MOST_OUTCOMES:
        raise RequestError(413, f"{len(content['outcomes'])} outcomes; a request may have {MOST_OUTCOMES}")
    posted = []
    for position, entry in enumerate(content["outcomes"]):
        try:
            posted.append(PostedOutcome.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "it"
            raise RequestError(422, f"outcomes: number {position}: {place}: {first['msg']}; {VALID}") from error
    return posted
