"""Progress of a run on stderr: what is in work, how far it is, and how long the rest will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from stepdown.ladder.context import Begun, Ended, Happening, Labelled, Trained
from stepdown.ladder.estimate import Estimate
from stepdown.train import Step


class RunProgress:
    """Draws a bar on a terminal; elsewhere, one line for each finished cell.

    The time left starts from the estimates and follows what finished cells really took.
    """

    def __init__(self, estimates: Mapping[str, Estimate]) -> None:
        self._left = {cell: one.seconds for cell, one in estimates.items() if not one.finished}
        self._planned = dict(self._left)
        self._spent_planned = self._spent = 0.0
        self._started = 0.0
        self._share = 0.0
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[left]}"),
            console=self._console,
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("", total=sum(self._planned.values()) or 1.0, left="")

    def __enter__(self) -> RunProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tell(self, happening: Happening) -> None:
        """Take note of something that happened in the run."""
        if isinstance(happening, Begun):
            if happening.finished_before:
                return
            self._started, self._share = time.perf_counter(), 0.0
            self._show(f"{happening.cell}: {happening.description}")
        elif isinstance(happening, Labelled):
            self._show(f"{happening.cell}: {happening.done:,} of {happening.total:,} texts labelled")
        elif isinstance(happening, Trained) and isinstance(happening.event, Step):
            self._share = happening.event.done / happening.event.total
            self._show(f"{happening.cell}: loss {happening.event.loss:.3f}", happening.cell)
        elif isinstance(happening, Ended):
            self._finish(happening)

    def _finish(self, ended: Ended) -> None:
        self._spent_planned += self._left.pop(ended.cell, 0.0)
        self._spent += ended.seconds
        self._share = 0.0
        line = f"{ended.cell}: accuracy {ended.accuracy:.4f} after {duration(ended.seconds)}"
        self._console.print(f"{line}, {duration(self._time_left(None))} left", highlight=False)
        self._show(line)

    def _time_left(self, working: str | None) -> float:
        # What cells really took against what was estimated; little evidence moves it little.
        pace = (self._spent + 30.0) / (self._spent_planned + 30.0)
        left = sum(self._left.values())
        if working in self._left:
            left -= self._left[working] * self._share
        return max(0.0, left * pace)

    def _show(self, line: str, working: str | None = None) -> None:
        done = sum(self._planned.values()) - sum(self._left.values())
        if working in self._left:
            done += self._left[working] * self._share
        self._bar.update(
            self._task,
            description=line[:60],
            completed=done,
            left=f"{duration(self._time_left(working))} left",
        )


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
