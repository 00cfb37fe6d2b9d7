"""Progress bars that count for us: the hub's client draws its own, but takes another class for them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


def bars(tell: Callable[[int], None]) -> Any:
    """A class of progress bars that draws nothing and tells how many bytes have come.

    The client makes one bar of files and one or two of bytes, of which one counts what came over the network and one
    what is on disk; the larger of both is told.
    """
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # the library has no types
        monitor_interval = 0  # no thread that refreshes what nobody sees

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "file": io.StringIO(), "disable": False})
            self._bytes = options.get("unit") == "B"

        def update(self, count: float | None = 1) -> Any:
            shown = super().update(count)
            if self._bytes:
                tell(int(self.n))
            return shown

    return Bar
