"""What every answer has, whatever it answers: headers for browsers, and its place in the metrics."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    # An answer that is opened as a page may do nothing at all; the page itself says what it may.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
GONE = 499
"""nginx's status for a client that went away before it was answered; it is only counted, never sent."""

_FAILED = JSONResponse({"detail": "The server failed at this request; its own messages say why."}, 500)
_ENDING = JSONResponse({"detail": "The server ends. Ask again when it is back."}, 503, {"Retry-After": "5"})


class Watch:
    """Adds headers, answers HEAD as GET without a body, and what goes wrong here with JSON."""

    def __init__(self, app: ASGIApp, paths: Collection[str], tell: Callable[[str, int, float], None]) -> None:
        """Wrap an app.

        Args:
            app: the app.
            paths: told by their names; all others are told as "other", so that a stranger cannot make up new ones.
            tell: takes path, status and seconds of each request.
        """
        self._app = app
        self._paths = paths
        self._tell = tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = GONE

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        # A copy: the server below leaves out the body where its own scope says HEAD.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await self._app(inner, receive, watched)
        except Exception:
            if status == GONE:  # nothing was answered yet
                await _FAILED(scope, receive, watched)
            raise  # the server below writes the traceback
        except asyncio.CancelledError:
            # The server below ends and has waited long enough.
            if status != GONE:
                raise
            await _ENDING(scope, receive, watched)
        finally:
            path = scope["path"] if scope["path"] in self._paths else "other"
            self._tell(path, status, time.perf_counter() - started)
