"""The way to MLflow: who asks, whether such an account may, and how much it may send."""

import base64
import binascii
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar

import anyio
from bodies import App, Body, Message, Receive, RefusedError, Send
from mlflow.server.auth.entities import User
from passwords import Passwords, TooManyFailuresError
from policy import SERVICE, Access, Policy, highest_access

logger = logging.getLogger(__name__)

MAX_JSON_BYTES = 4_000_000  # MLflow's own bound on a batch is a quarter of it; a body is kept in memory
LARGE_BYTES = 100_000
TRANSFERS_AT_ONCE = 6  # uploads and downloads of one account
PEOPLES_TRANSFERS_AT_ONCE = 24  # of all but the pipelines' account: each may hold one of the server's 40 threads
LARGE_BODIES_AT_ONCE = 4  # of one account
ARTIFACTS = ("/mlflow-artifacts/artifacts/", "/get-artifact", "/model-versions/get-artifact", "/artifacts/files")

# The account whose password the gate has verified, for MLflow's own question in the same request.
caller: ContextVar[User | None] = ContextVar("caller", default=None)


class Gate:
    """An ASGI app before MLflow's."""

    def __init__(self, app: App, policy: Policy, passwords: Passwords, max_upload_bytes: int) -> None:
        """Wrap MLflow's app."""
        self._app, self._policy, self._passwords = app, policy, passwords
        self._max_upload_bytes = max_upload_bytes
        self._transfers: dict[str, anyio.Semaphore] = defaultdict(lambda: anyio.Semaphore(TRANSFERS_AT_ONCE))
        self._peoples_transfers = anyio.Semaphore(PEOPLES_TRANSFERS_AT_ONCE)
        self._large_bodies: dict[str, anyio.Semaphore] = defaultdict(lambda: anyio.Semaphore(LARGE_BODIES_AT_ONCE))

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
        async with self._slot(user.username, is_artifact, is_large):
            await Body(receive, send, limit).serve(self._app, scope)

    @asynccontextmanager
    async def _slot(self, username: str, is_artifact: bool, is_large: bool) -> AsyncIterator[None]:
        """Wait until an account may transfer a file, or send a large body."""
        if is_artifact:
            async with self._transfers[username], nullcontext() if username == SERVICE else self._peoples_transfers:
                yield
        else:
            async with self._large_bodies[username] if is_large else nullcontext():
                yield

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
