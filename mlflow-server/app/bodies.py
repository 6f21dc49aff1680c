"""Bodies of requests, which end when they are longer than allowed."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class RefusedError(Exception):
    """A request that does not reach MLflow."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        """Keep what to answer."""
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers


class Body:
    """A request's body, ended when it is longer than allowed, whatever length was announced."""

    def __init__(self, receive: Receive, send: Send, limit: int) -> None:
        """Wrap what the web server gave."""
        self._receive, self._send, self._left = receive, send, limit
        self._has_answer = False

    async def serve(self, app: App, scope: Message) -> None:
        """Let the app answer. Raises RefusedError in place of its answer when the body is too long.

        An answer that had begun is cut off: the web server closes the connection.
        """
        try:
            await app(scope, self.receive, self.send)
        except Exception:
            if self._left >= 0:
                raise
        if self._left < 0 and not self._has_answer:
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
            self._has_answer = True
            await self._send(message)
