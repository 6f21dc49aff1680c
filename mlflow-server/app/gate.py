"""The way to MLflow: who asks, whether such an account may, and how much it may send."""

import base64
import binascii
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import nullcontext
from contextvars import ContextVar
from typing import Any

import anyio
from mlflow.server.auth.entities import User
from passwords import Passwords, TooManyFailuresError
from policy import Access, Policy, highest_access

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 4_000_000  # MLflow's own bound on a batch is a quarter of it; a body is kept in memory
LARGE_BYTES = 100_000
TRANSFERS_AT_ONCE = 6  # uploads and downloads of one account
LARGE_BODIES_AT_ONCE = 4
ARTIFACTS = ("/mlflow-artifacts/artifacts/", "/get-artifact", "/model-versions/get-artifact", "/artifacts/files")

# The account whose password the gate has verified, for MLflow's own question in the same request.
caller: ContextVar[User | None] = ContextVar("caller", default=None)


class RefusedError(Exception):
    """A request that does not reach MLflow."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        """Keep what to answer."""
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


class Gate:
    """An ASGI app before MLflow's."""

    def __init__(self, app: App, policy: Policy, passwords: Passwords, max_upload_bytes: int) -> None:
        """Wrap MLflow's app."""
        self._app, self._policy, self._passwords = app, policy, passwords
        self._max_upload_bytes = max_upload_bytes
        self._transfers: dict[str, anyio.Semaphore] = defaultdict(lambda: anyio.Semaphore(TRANSFERS_AT_ONCE))
        self._large_bodies = anyio.Semaphore(LARGE_BODIES_AT_ONCE)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            try:
                await self._pass(scope, receive, send)
            except RefusedError as refused:
                await _answer(send, refused)

    async def _pass(self, scope: Message, receive: Receive, send: Send) -> None:
        required = self._policy.access(scope["method"], scope["path"])
        headers = dict(scope["headers"])
        if required == Access.PUBLIC:
            await Body(receive, send, limit=0).serve(self._app, scope)
            return
        user = await self._authenticate(scope)
        if highest_access(user.username, user.is_admin) < required:
            logger.warning("refused %s: %s %r", user.username, scope["method"], scope["path"])
            raise RefusedError(403, f"Permission denied: {_why(required)}.")
        _check_origin(headers)
        caller.set(user)
        is_artifact = any(part in scope["path"] for part in ARTIFACTS)
        limit = self._max_upload_bytes if is_artifact else MAX_JSON_BYTES
        length = _content_length(headers, limit)
        is_large = length is None or length > LARGE_BYTES
        slot = self._transfers[user.username] if is_artifact else self._large_bodies if is_large else nullcontext()
        async with slot:
            await Body(receive, send, limit).serve(self._app, scope)

    async def _authenticate(self, scope: Message) -> User:
        credentials = _credentials(scope)
        address = scope["client"][0] if scope.get("client") else ""
        try:
            user = credentials and await anyio.to_thread.run_sync(self._passwords.authenticate, *credentials, address)
        except TooManyFailuresError as error:
            seconds = str(int(error.wait_seconds) + 1)
            raise RefusedError(
                429, f"Too many wrong passwords; the next is looked at in {seconds} s", **{"retry-after": seconds}
            ) from error
        if not user:
            raise RefusedError(401, "You are not authenticated.", **{"www-authenticate": 'Basic realm="mlflow"'})
        return user


def _credentials(scope: Message) -> tuple[str, str] | None:
    """Return name and password of a request."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _, encoded = values[0].partition(b" ") if len(values) == 1 else (b"", b"", b"")
    if scheme.lower() != b"basic":
        return None
    try:
        name, separator, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if separator else None


def _check_origin(headers: Mapping[bytes, bytes]) -> None:
    """Refuse what a page of another site sends with the password that the browser remembers."""
    origin = headers.get(b"origin")
    if origin is not None and origin.partition(b"://")[2] != headers.get(b"host"):
        raise RefusedError(403, f"Permission denied: a page of {origin.decode('latin-1')} may not ask this server.")


def _content_length(headers: Mapping[bytes, bytes], limit: int) -> int | None:
    """Return the length of a body. None when it is not known before."""
    if b"content-length" not in headers:
        return None if b"transfer-encoding" in headers else 0
    length = int(headers[b"content-length"])
    if length > limit:
        raise RefusedError(413, f"{length} bytes are too many; at most {limit} are accepted.")
    return length


class Body:
    """A request's body, ended when it is longer than allowed, whatever length was announced."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        """Wrap what the web server gave."""
        self._receive, self._send, self._left = receive, send, limit

    async def serve(self, app: App, scope: Message) -> None:
        """Let the app answer. Raises RefusedError in place of its answer when the body is too long."""
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            if self._left >= 0:
                raise
        if self._left < 0:
            raise RefusedError(413, "the body is too long.")

    async def receive(self) -> Message:
        """Count what arrives."""
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise ConnectionAbortedError("the body is too long")
        return message

    async def send(self, message: Message) -> None:
        """Send, unless the request was refused meanwhile."""
        if self._left >= 0:
            await self._send(message)


def _why(required: Access) -> str:
    return {
        Access.WRITE: "only the pipelines' account and admins may change experiments, runs and models",
        Access.ADMIN: "only admins manage accounts",
    }.get(required, "this server does not offer it")


async def _answer(send: Send, refused: RefusedError) -> None:
    headers = {"content-type": "text/plain; charset=utf-8", **refused.headers}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": encoded})
    await send({"type": "http.response.body", "body": refused.reason.encode()})
