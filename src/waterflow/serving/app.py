"""The service's HTTP interface, as an ASGI application.

Predictions are answered here directly; pages and descriptions, which nobody counts, by Starlette.
"""

import asyncio
import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from waterflow.serving.access import RIGHT, Right, is_foreign
from waterflow.serving.answering import AskedRows, RequestError
from waterflow.serving.pages import build_pages
from waterflow.serving.protocols import mlflow_forms, native, open_inference
from waterflow.serving.service import Service

logger = logging.getLogger(__name__)

PREDICT = re.compile(
    r"/v1/models/(?P<native>[^/]+)/predict"
    r"|/models/(?P<mlflow>[^/]+)/invocations"
    r"|/v2/models/(?P<open>[^/]+)(?:/versions/(?P<version>[^/]+))?/infer"
)
PROTOCOLS: dict[str, ModuleType] = {"native": native, "mlflow": mlflow_forms, "open": open_inference}
OPEN_PATHS = ("/v2/health/live", "/v2/health/ready", "/v2", "/health", "/style.css")
FEW_ROWS = 100  # of a fast model: less than a hand-over to a thread costs others
JSON = (b"content-type", b"application/json")
PRIVATE = (b"cache-control", b"no-store")
HARMLESS = (b"x-content-type-options", b"nosniff")


class _Asked(NamedTuple):
    """A request for predictions."""

    pipeline: str
    version: str | None
    protocol: ModuleType


class ServingApp:
    """The application of one worker."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._pages: ASGIApp = build_pages(service)
        self._encode: Callable[[Any], bytes] = msgspec.json.Encoder(decimal_format="number", enc_hook=str).encode

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Nothing that a request holds ends in a traceback."""
        if scope["type"] != "http":
            return
        matched = PREDICT.fullmatch(scope["path"])
        asked = _asked(matched) if matched else None
        protocol = asked.protocol if asked else native
        started = time.perf_counter()
        try:
            self._check_access(scope)
            if asked is None:
                await self._pages(scope, receive, send)
                return
            if scope["method"] != "POST":
                raise RequestError(405, f"method: {scope['method'][:20]!r}; valid: POST")
            content = await self._predict(scope, receive, asked, started)
        except RequestError as error:
            status, content = error.status, self._encode(protocol.write_error(error))
            self._count_error(asked, status)
            await _send(send, status, content, _headers_of(error))
            return
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            self._count_error(asked, 500)
            refused = RequestError(500, "the service failed; its log says why")
            await _send(send, 500, self._encode(protocol.write_error(refused)))
            return
        await _send(send, 200, content)

    async def _predict(self, scope: Scope, receive: Receive, asked: _Asked, started: float) -> bytes:
        model = self._service.find_model(asked.pipeline, asked.version)
        headers = dict(scope["headers"])
        if (
            headers.get(b"content-encoding", b"identity") != b"identity"
            or b"inference-header-content-length" in headers
        ):
            raise RequestError(415, "the body is compressed or binary; send plain JSON (binary_data=False)")
        body = await _read_body(headers, receive, self._service.max_body_bytes)
        names = [feature.name for feature in model.assignment.features]
        is_small = model.is_fast and len(body) < 200 * FEW_ROWS
        rows = (
            parse(body, asked.protocol, names)
            if is_small
            else await asyncio.to_thread(parse, body, asked.protocol, names)
        )
        if model.is_fast and rows.rows <= FEW_ROWS:
            answered = self._service.answer(model, rows)
            content = self._encode(asked.protocol.write_answer(answered))
        else:
            answered = await asyncio.to_thread(self._service.answer, model, rows)
            content = await asyncio.to_thread(self._encode, asked.protocol.write_answer(answered))
        counts = self._service.report.counts_of(asked.pipeline)
        counts.add_answer(rows.rows, time.perf_counter() - started)
        return content

    def _check_access(self, scope: Scope) -> None:
        if scope["path"] in OPEN_PATHS:
            return
        headers, access = dict(scope["headers"]), self._service.access
        host, origin = (headers.get(name, b"").decode("latin-1") for name in (b"host", b"origin"))
        if is_foreign(host, origin, access):
            raise RequestError(403, f"the request comes from the page {origin or host!r}; ask this machine by its name")
        if access.is_open:
            return
        right = access.right_of(headers.get(b"authorization", b"").decode("latin-1"))
        if right is Right.NONE:
            raise RequestError(401, "no valid token; send `Authorization: Bearer TOKEN`")
        scope[RIGHT] = right

    def _count_error(self, asked: _Asked | None, status: int) -> None:
        if asked is not None and asked.pipeline in self._service.state.pipelines:
            self._service.report.counts_of(asked.pipeline).add_error(status)


def parse(body: bytes, protocol: ModuleType, names: Sequence[str]) -> AskedRows:
    """Return the rows of a body. Raises RequestError for what is no JSON, or has another form."""
    rows: AskedRows = protocol.read_request(decode(body), names)
    return rows


def decode(body: bytes) -> Any:
    """Return the content of a body in JSON. `NaN`, which some clients write for a null, is one."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        if b"NaN" not in body:
            raise RequestError(400, f"the body is no JSON ({error})") from error
    try:
        content = json.loads(body, parse_constant=_constant)
        msgspec.json.encode(content)  # refuses half of a character, which the standard library takes
        return content
    except (ValueError, RecursionError, OverflowError, TypeError) as error:
        raise RequestError(400, f"the body is no JSON ({str(error)[:200]})") from error


def _constant(name: str) -> None:
    if name != "NaN":
        raise ValueError(f"{name} is no number")


def _asked(matched: re.Match[str]) -> _Asked:
    kind = next(name for name in PROTOCOLS if matched[name] is not None)
    return _Asked(matched[kind], matched["version"], PROTOCOLS[kind])


async def _read_body(headers: dict[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """Read a body. Raises RequestError for one above the limit, before all of it is here."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestError(400, "the connection ended before the body did")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body"):
            return b"".join(parts)


def _too_large(limit: int) -> RequestError:
    return RequestError(413, f"the body is larger than {limit} bytes; send fewer rows, or use `waterflow predict`")


def _headers_of(error: RequestError) -> list[tuple[bytes, bytes]]:
    if error.status == 401:
        # A header for each way: Chromium asks for no password where both stand in one.
        ways = (b'Basic realm="Waterflow: the token is the password"', b"Bearer")
        return [(b"www-authenticate", way) for way in ways]
    if error.status == 413:
        return [(b"connection", b"close")]  # the rest of the body is not read
    return [(b"allow", b"POST")] if error.status == 405 else []


async def _send(send: Send, status: int, content: bytes, more: Sequence[tuple[bytes, bytes]] = ()) -> None:
    headers = [JSON, (b"content-length", str(len(content)).encode()), PRIVATE, HARMLESS, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
