"""What goes around every request: security headers, the size of bodies, and `.json` for the JSON twin.

Plain ASGI, so that nothing is buffered: audio streams through.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

STRICT_TRANSPORT = "max-age=31536000"
"""Sent over HTTPS only: a year."""

BODY_BYTES = 64 << 10
"""Largest body of a request that uploads nothing."""

UPLOAD_OVERHEAD_BYTES = 64 << 10
"""What a form's other fields may add to an uploaded file."""


class SecurityHeaders:
    """Adds the headers to every answer; pages and data are not cached unless they say so themselves."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                static = scope["path"].startswith("/static/")
                headers.setdefault("Cache-Control", "no-cache" if static else "no-store")
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = STRICT_TRANSPORT
            await send(message)

        await self.app(scope, receive, send_with_headers)


class JsonTwin:
    """Serves `/page.json` as `/page` asked for as JSON."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] == "http" and scope["path"].endswith(".json"):
            path = scope["path"].removesuffix(".json")
            kept = [header for header in scope["headers"] if header[0] != b"accept"]
            scope = {
                **scope,
                "path": "/" if path == "/index" else path,
                "raw_path": path.encode(),
                "headers": [*kept, (b"accept", b"application/json")],
            }
        await self.app(scope, receive, send)


class BodyTooLarge(Exception):
    """A request's body is larger than its route takes."""


class BodyLimit:
    """Ends requests whose body is too large, whatever their Content-Length says.

    Parameters
    ----------
    app : ASGIApp
        What is inside.
    uploads : mapping of str to int
        Paths that take larger bodies, with their limits in bytes.
    """

    def __init__(self, app: ASGIApp, uploads: dict[str, int]) -> None:
        self.app = app
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self.uploads.get(scope["path"], BODY_BYTES)
        seen = 0

        async def receive_within_limit() -> Message:
            nonlocal seen
            message = await receive()
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                if seen > limit:
                    raise BodyTooLarge(f"a request here may hold {limit >> 10} KiB")
            return message

        await self.app(scope, receive_within_limit, send)
