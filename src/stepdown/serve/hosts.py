"""By which names the server may be asked: a page elsewhere must not reach it under a name of its own.

A page that a user happens to visit may have its own name stand for 127.0.0.1 once it is loaded (DNS rebinding). To the
browser the server on the user's machine is then of the page's origin; what gives it away is the name in `Host`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Hosts:
    """Answers requests to other names with 421."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        """Wrap an app that may be asked by these names, with any port."""
        self._app = app
        self._names = list(dict.fromkeys(map(_name, names)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        host = Headers(scope=scope).get("host", "") if scope["type"] == "http" else None
        if host is None or _name(host) in self._names:
            await self._app(scope, receive, send)
            return
        detail = (
            f"The Host is {host[:60]!r}; expected {', '.join(self._names)}. "
            "Ask by such a name, or start the server with --allow-host and that one."
        )
        await JSONResponse({"detail": detail}, 421)(scope, receive, send)


def hosts(host: str, address: str, allowed: Collection[str] = ()) -> list[str] | None:
    """The names by which a server may be asked; None where it is any.

    Args:
        host: where it was told to listen.
        address: where it listens.
        allowed: what else it was told. At an address that others can reach, names are checked only if there are some.
    """
    if not allowed and not is_loopback(address):
        return None
    own = [f"[{name}]" if ":" in name else name for name in (host, address)]
    return [*_LOCAL, *own, *allowed]


def is_loopback(address: str) -> bool:
    """Whether an address is reached from this machine alone."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _name(host: str) -> str:
    """A host without its port, as names are compared."""
    name, colon, port = host.rpartition(":")
    is_port = colon and (port.isdecimal() or not port)
    return (name if is_port else host).lower().removesuffix(".")
