"""Connections: how many are open at a time, and how long one may keep the server waiting."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

ACCEPTED = 16
"""Connections that are taken in one turn of the event loop."""

# Files that are not connections: of the process itself, and connections that are taken and not yet counted or refused,
# which takes four turns.
_RESERVE = 32 + 4 * ACCEPTED
# Where the system sets no limit, or a very high one: a connection may hold 64 kB of a head in memory.
_MOST = 10_000


def most_open() -> int:
    """How many connections may be open: as many as the process may have files, less a reserve."""
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return _MOST
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if files == resource.RLIM_INFINITY else max(1, min(files - _RESERVE, _MOST))


class Connection(H11Protocol):
    """uvicorn's, with a clock that runs while the client is to do something: ask, or take its answer.

    uvicorn itself closes a connection that is silent after an answer, and waits for ever for the rest of a head.

    Attributes:
        seconds: for a whole head, from the beginning or from the last answer; for any progress in taking an answer.
        most: connections at a time; further ones are closed at once.
    """

    seconds: ClassVar[float] = 30.0
    most: ClassVar[int] = most_open()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock: asyncio.TimerHandle | None = None
        self._left: float = 0  # bytes of an answer when the clock was last looked at

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where there are too many."""
        if len(self.connections) >= self.most:
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._set_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is closed."""
        super().connection_lost(exc)
        self._stop_clock()

    def handle_events(self) -> None:
        """Something was read: perhaps a whole head, perhaps a part."""
        super().handle_events()
        self._set_clock()

    def on_response_complete(self) -> None:
        """All of an answer was written, if not yet sent."""
        self._set_clock()  # first: uvicorn's goes on to the next request, if it was read already
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client does not take its answer as fast as it is written."""
        super().pause_writing()
        self._set_clock()

    def resume_writing(self) -> None:
        """The client has taken most of its answer."""
        super().resume_writing()
        self._stop_clock()
        self._set_clock()

    def _set_clock(self) -> None:
        """Have it run, or not, as whoever is to do something says; one that runs is not put back."""
        is_asked = self.cycle is not None and not self.cycle.response_complete
        if is_asked and not self.flow.write_paused:
            self._stop_clock()
        elif self._clock is None:
            self._left = float("inf")
            self._clock = self.loop.call_later(self.seconds, self._late)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _late(self) -> None:
        left = self.transport.get_write_buffer_size()
        if 0 < left < self._left:  # a large answer, on a slow line
            self._left = left
            self._clock = self.loop.call_later(self.seconds, self._late)
        else:
            self.transport.abort()  # closed, it would wait for an answer to be taken
