"""Downloads on stderr. Apart from the progress of runs, which needs torch: `init` and others do not."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn


class Fetching:
    """Tells of downloads: a bar on a terminal, elsewhere a line when one begins."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Fetching:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, name: str, done: int, total: int) -> None:
        """Take note that `done` of `total` bytes of `name` are there."""
        if name not in self._tasks:
            if self._bar is None:
                self._bar = Progress(
                    TextColumn("Fetching {task.description}"),
                    BarColumn(bar_width=24),
                    DownloadColumn(),
                    TimeRemainingColumn(),
                    console=self._console,
                    disable=not sys.stderr.isatty(),
                    transient=True,
                )
                self._bar.start()
            if not sys.stderr.isatty():
                self._console.print(f"Fetching {name} ({total / 1e6:,.0f} MB) …", highlight=False)
            self._tasks[name] = self._bar.add_task(name, total=total)
        assert self._bar is not None
        self._bar.update(self._tasks[name], completed=done, total=total)
