"""Security headers, and the refusal of foreign pages' requests."""

from typing import Any
from urllib.parse import urlsplit

from waterflow.orchestration.trigger_guard import Message, Receive, Send, answer

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
# The UI writes styles as it goes (Chakra UI) and runs its editor in a worker; its scripts are files of its own.
POLICY = (
    "default-src 'self'; script-src 'self'{inline}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'{base}; frame-ancestors 'none'"
)


class BrowserSecurity:
    """ASGI middleware for security headers and origins.

    A request that changes something is refused when a page of another origin sent it: the session's cookie is also sent
    for pages of other ports of this machine, such as MLflow's. `base_url` is the server's own address: after a login by
    another name of the machine the browser is led there.
    """

    def __init__(self, app: Any, base_url: str = "") -> None:
        self.app = app
        base = urlsplit(base_url)
        self.base = f"{base.scheme}://{base.netloc}" if base.netloc else ""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Refuse a foreign write; add headers to every other response."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = security_headers(scope["path"], self.base)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", ())}
                added = [(name, value) for name, value in headers if name not in present]
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        if scope["method"] not in SAFE_METHODS and (origin := self.foreign_origin(scope)):
            return await answer(send_with_headers, 403, f"a page of {origin[:100]!r} may not change anything here")
        return await self.app(scope, receive, send_with_headers)

    def foreign_origin(self, scope: Message) -> str | None:
        """Return the origin of the page that sent a request. None if it is our own, or not a browser's."""
        sent = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        origin = sent.get(b"origin")
        if origin is None or origin == self.base or urlsplit(origin).netloc == sent.get(b"host"):
            return None
        return origin


def security_headers(path: str, base: str) -> list[tuple[bytes, bytes]]:
    """Return the headers of a response. The pages of the login carry scripts of their own, inline."""
    policy = POLICY.format(inline=" 'unsafe-inline'" if "/auth/" in path else "", base=f" {base}" if base else "")
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-frame-options", b"DENY"),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"same-origin"),
    ]
