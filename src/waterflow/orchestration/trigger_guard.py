"""The API server's check of triggers."""

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any, NamedTuple

from waterflow.errors import ConfigError
from waterflow.orchestration.trigger_conf import check_conf

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Every route whose body carries a conf (a test compares them with Airflow's own). The path or the body names the DAG.
ROUTES = (
    (re.compile(r"/api/v2/dags/(?P<dag_id>[^/]+)/dagRuns/?$"), "conf"),
    (re.compile(r"/api/v2/backfills(/dry_run)?/?$"), "dag_run_conf"),
    (re.compile(r"/api/v2/assets/(?P<asset_id>\d+)/materialize/?$"), "conf"),
    (re.compile(r"/execution/dag-runs/(?P<dag_id>[^/]+)/[^/]+/?$"), "conf"),
)
# The moments of a run, or of a backfill's first and last one. Outside these years tasks fail, and a run never begins.
MOMENTS = ("logical_date", "data_interval_start", "data_interval_end", "run_after", "from_date", "to_date")
YEARS = range(1900, 2201)
MAX_BODY_BYTES = 1024 * 1024
CLOSED: Message = {"type": "http.disconnect"}


class Trigger(NamedTuple):
    """A request that makes DAG runs.

    `names` stand in its path; `field` of its body holds the conf.
    """

    path: str
    names: dict[str, str]
    field: str


class TriggerGuard:
    """ASGI middleware that checks the conf of every trigger.

    A conf that the form does not accept is answered with 400 and one line. Who is not logged in goes on to Airflow,
    which answers 401: the line names a pipeline's candidates. Airflow's own 422 of such a request becomes one line too.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a bad trigger, or pass the request on."""
        trigger = find_trigger(scope)
        if trigger is None:
            return await self.app(scope, receive, send)
        body = await read_body(receive)
        if body is None:
            limit = f"the request has more than {MAX_BODY_BYTES:,} bytes; send names and times only"
            return await answer(send, 413, limit)
        problem = await find_problem(scope, trigger, body)
        if problem and await is_logged_in(scope, trigger):
            return await answer(send, 400, problem)
        return await self.app(scope, replay(body), OneLine(send))


class OneLine:
    """Send a response. A 422 becomes one line."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held, self._body = False, b""

    async def __call__(self, message: Message) -> None:
        """Hold a 422 back until it is complete."""
        if message["type"] == "http.response.start" and message["status"] == 422:
            self._held = True
        elif not self._held:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await answer(self._send, 422, read_detail(self._body))


def find_trigger(scope: Message) -> Trigger | None:
    """Return what a request is to trigger. None for every other request."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    for route, field in ROUTES:
        if found := route.search(scope["path"]):
            return Trigger(scope["path"], {k: v for k, v in found.groupdict().items() if v}, field)
    return None


async def read_body(receive: Receive) -> bytes | None:
    """Return a request's body. None when it is larger than 1 MB."""
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            return None
        if not message.get("more_body"):
            return body


def replay(body: bytes) -> Receive:
    """Return a `receive` for a body already read."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        return next(messages, CLOSED)

    return receive


async def find_problem(scope: Message, trigger: Trigger, body: bytes) -> str | None:
    """Return why a trigger is refused. None where Airflow decides."""
    from starlette.concurrency import run_in_threadpool

    try:
        content = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        return "the body is no JSON that can be read"
    if not isinstance(content, dict):
        return "the body is no mapping"
    dag_id = trigger.names.get("dag_id") or content.get("dag_id")
    form = await run_in_threadpool(find_form, scope["app"], dag_id, trigger.names.get("asset_id"))
    try:
        if form is not None:
            check_moments(content)
            check_conf(content.get(trigger.field), form)
    except ConfigError as error:
        return str(error)
    return None


def check_moments(content: dict[str, Any]) -> None:
    """Raise ConfigError for a moment outside 1900–2200. What is no moment is left to Airflow."""
    from pydantic import TypeAdapter, ValidationError

    moment = TypeAdapter(datetime)  # as Airflow reads it: also a number
    for name in MOMENTS:
        try:
            year = moment.validate_python(content.get(name)).year
        except ValidationError:
            continue
        if year not in YEARS:
            raise ConfigError(f"{name}: the year {year} is not valid; valid: 1900 to 2200")


def find_form(app: Any, dag_id: object, asset_id: str | None) -> Any:
    """Return the params of one of our DAGs. None for another DAG."""
    from airflow.models.asset import TaskOutletAssetReference
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        if asset_id:
            outlets = select(TaskOutletAssetReference.dag_id).where(TaskOutletAssetReference.asset_id == int(asset_id))
            dag_id = session.scalar(outlets.limit(1))
        dag = app.state.dag_bag.get_latest_version_of_dag(dag_id, session=session) if isinstance(dag_id, str) else None
        return dag.params if dag is not None and "waterflow" in dag.tags else None


async def is_logged_in(scope: Message, trigger: Trigger) -> bool:
    """Return whether Airflow knows the sender of a request."""
    from airflow.api_fastapi.core_api.security import COOKIE_NAME_JWT_TOKEN, resolve_user_from_token
    from airflow.api_fastapi.execution_api.app import _jwt_validator
    from starlette.requests import Request

    request = Request(scope)
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        if "/execution/" in trigger.path:
            await _jwt_validator().avalidated_claims(token, {})
        elif kind.lower() == "bearer":
            await resolve_user_from_token(token)
        else:
            await resolve_user_from_token(request.cookies.get(COOKIE_NAME_JWT_TOKEN))
    except Exception:  # whatever is wrong with a token, Airflow says it better
        return False
    return True


def read_detail(body: bytes) -> str:
    """Return the errors of a 422 as one line."""
    try:
        detail = json.loads(body)["detail"]
        lines = [f"{'.'.join(map(str, error['loc'][1:]))}: {error['msg']}" for error in detail]
    except (ValueError, LookupError, TypeError):
        return "the request is not valid"
    return "; ".join(lines[:5])


async def answer(send: Send, status: int, detail: str) -> None:
    """Send a response of one line of JSON."""
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
