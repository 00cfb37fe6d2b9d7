"""The socket, the signals, and an end that finishes what was begun."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from stepdown.errors import InputError, WorkError
from stepdown.page import title
from stepdown.runtime import Classifier
from stepdown.serve.app import create_app
from stepdown.serve.connections import ACCEPTED, Connection
from stepdown.serve.hosts import hosts, is_loopback
from stepdown.serve.limits import Limits

# Seconds that requests may still take after the signal to stop; then they are answered with 503. Fewer than the 30
# that Kubernetes waits.
_GRACE = 25
# Of the event loop, to take a connection that waits and to read its request; a few more than it needs.
_TURNS = 10
# Seconds in which a connection that is kept open may still ask once: its client cannot know yet that the end has come.
_LINGER = 1.0
# Connections that the system holds until they are taken.
_HELD = 2048
# No connection can be taken: too many files of this process, or of all; or no memory.
_SCARCE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(
    bundle: str,
    host: str,
    port: int,
    limits: Limits,
    *,
    access_log: bool = False,
    allowed: Sequence[str] = (),
    say: Callable[[str], None],
) -> None:
    """Serve a bundle until a signal says to stop.

    At the first SIGINT or SIGTERM no new connection is taken, and what was asked is answered. Connections that clients
    keep open may ask for a second more, and are closed with the answer. The second signal ends the process at once,
    with 128 and the signal's number as its exit code.

    Args:
        bundle: a folder, a `.stepdown` file, or the name of a shipped model.
        host: a name or an address of this machine.
        port: 0 for any that is free.
        limits: what is answered at most.
        access_log: write a line for each request to stderr.
        allowed: names by which it may be asked, besides those of this machine.
        say: takes messages for the user: where it listens, once it does.

    Raises:
        BundleError: the bundle cannot be read.
        InputError: the host or the port is none.
        WorkError: the port is taken, or not for this user.
    """
    listener = listen(host, port)  # first: it fails sooner than a bundle is read
    with listener:
        classifier = Classifier.load(bundle)
        names = hosts(host, listener.getsockname()[0], allowed)
        app = create_app(classifier, title(bundle, classifier.card), limits, names)

        def begun() -> None:
            address = listener.getsockname()
            say(f"Serving {bundle} on {url(address)} (Ctrl-C ends it)")
            if not is_loopback(address[0]):
                say("It is open to the network and has no login: whoever reaches this address can use it.")

        def ending() -> None:
            say("Answering what was asked; Ctrl-C ends it at once.")

        _Server(_config(app, access_log), begun, ending).run([listener])


def _config(app: FastAPI, access_log: bool = False) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=_logging(access_log),
        access_log=access_log,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        backlog=ACCEPTED,
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections.

    Raises:
        InputError: there is no such port, or no such host on this machine.
        WorkError: the port is taken, or not for this user.
    """
    if not 0 <= port <= 65535:
        raise InputError(f"There is no port {port}. Ports go from 1 to 65535; 0 takes any that is free.")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise InputError(
            f"The host {host!r} is not known here. Name an address of this machine, such as 127.0.0.1."
        ) from error
    failed = OSError()
    for family, _, _, _, address in found:  # a name may stand for an address of IPv6, and one of IPv4
        try:
            return _bound(family, address)
        except OSError as error:
            failed = error
    raise _unbound(failed, host, port) from failed


def _bound(family: int, address: Any) -> socket.socket:
    # The protocol by its name: asyncio turns off Nagle's algorithm, which would hold an answer's body back until
    # the client has acknowledged its headers (40 ms), only where it is told that this is TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_HELD)
    except OSError:
        listener.close()
        raise
    return listener


def url(address: tuple[str, int]) -> str:
    """The URL of an address of IPv4 or IPv6."""
    host, port = address[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _unbound(error: OSError, host: str, port: int) -> InputError | WorkError:
    if error.errno == errno.EADDRINUSE:
        return WorkError(
            f"Port {port} of {host} is in use. Choose another with --port, or 0 for any free one."
        )
    if error.errno == errno.EACCES:
        return WorkError(f"Port {port} is not for this user. Choose one from 1024 on with --port.")
    if error.errno == errno.EADDRNOTAVAIL:
        return InputError(f"{host} is no address of this machine. The machine itself is 127.0.0.1.")
    return WorkError(f"{host}, port {port}, cannot be served: {error.strerror or error}.")


class _Server(uvicorn.Server):
    """Tells when it has begun and when it waits to end, and keeps its own rules of ending."""

    def __init__(self, config: uvicorn.Config, begun: Callable[[], None], ending: Callable[[], None]) -> None:
        super().__init__(config)
        self._begun = begun
        self._ending = ending
        self._has_told = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        asyncio.get_running_loop().set_exception_handler(self._failed)
        for listener in sockets or ():  # asyncio takes what it accepts in a turn for this, too
            listener.listen(_HELD)
        self._begun()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # What was asked before the signal may not be read yet; closed now, its connection would be reset.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        if self.server_state.tasks:
            self._ending()
        for server in self.servers:
            server.close()
        # Closed at once, a connection would be reset under a request that is on its way. Told so with an answer, its
        # client closes it and asks elsewhere (RFC 9112, section 9.6).
        self.server_state.default_headers.append((b"connection", b"close"))
        until = time.monotonic() + _LINGER
        while self.server_state.connections and time.monotonic() < until:
            await asyncio.sleep(0.01)
        await super().shutdown(sockets)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What fails in the loop is written, but that no connection can be taken only once: asyncio tries again."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _SCARCE:
            loop.default_exception_handler(context)
        elif not self._has_told:
            self._has_told = True
            logging.getLogger("uvicorn.error").error(
                "Connections wait to be taken, as the system gives nothing for them: %s.", error.strerror
            )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn's own raises the signal once more after the end, so that no exit code would be 0.
        before = {number: signal.signal(number, self.handle_exit) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            sys.stderr.flush()
            os._exit(128 + sig)  # at once: no thread is waited for
        self.should_exit = True


def _logging(access_log: bool) -> dict[str, object]:
    """Faults of our own go to stderr, and requests too if asked for."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(asctime)s %(message)s"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
        "loggers": {
            "uvicorn.error": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
            "uvicorn.access": {
                "handlers": ["stderr"],
                "level": "INFO" if access_log else "ERROR",
                "propagate": False,
            },
        },
    }
