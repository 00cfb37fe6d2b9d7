"""Progress of a run on stderr: what is in work, how far it is, and how long the rest will take."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from stepdown.cli.durations import duration
from stepdown.ladder.context import Begun, Ended, Happening, Labelled, Trained
from stepdown.ladder.estimate import Estimate
from stepdown.pretraining import Happening as PretrainHappening
from stepdown.pretraining import Point, Resumed
from stepdown.train import Step

# Where lines are read later rather than watched, a sign of life this often.
_QUIET_SECONDS = 30.0


class _Work:
    """A bar on a terminal; elsewhere, lines that may be read later, and among them a sign of life now and then."""

    def __init__(self, total: float) -> None:
        self._said = time.perf_counter()
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[left]}"),
            console=self._console,
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("", total=total, left="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _print(self, line: str) -> None:
        """A line that stays."""
        self._said = time.perf_counter()
        self._console.print(line, highlight=False)

    def _sign_of_life(self, line: str) -> None:
        """A line that stays where nobody watches a bar, if none came for a while."""
        if not sys.stderr.isatty() and time.perf_counter() - self._said > _QUIET_SECONDS:
            self._print(line)


class RunProgress(_Work):
    """Draws a bar on a terminal; elsewhere, a line for each finished cell and a sign of life in long ones.

    The time left starts from the estimates and follows what finished cells really took.
    """

    def __init__(self, estimates: Mapping[str, Estimate]) -> None:
        self._left = {cell: one.seconds for cell, one in estimates.items() if not one.finished}
        self._planned = dict(self._left)
        self._asking = {cell: one.asking / one.seconds for cell, one in estimates.items() if one.seconds}
        self._spent_planned = self._spent = 0.0
        self._share = 0.0
        super().__init__(total=sum(self._planned.values()) or 1.0)

    def tell(self, happening: Happening) -> None:
        """Take note of something that happened in the run."""
        if isinstance(happening, Begun):
            if happening.finished_before:
                return
            self._share = 0.0
            self._show(f"{happening.cell}: {happening.description}")
        elif isinstance(happening, Labelled):
            self._share = self._asking.get(happening.cell, 0.0) * happening.done / happening.total
            line = f"{happening.cell}: {happening.done:,} of {happening.total:,} texts labelled"
            self._show(line, happening.cell)
        elif isinstance(happening, Trained) and isinstance(happening.event, Step):
            asking = self._asking.get(happening.cell, 0.0)
            self._share = asking + (1 - asking) * happening.event.done / happening.event.total
            self._show(f"{happening.cell}: loss {happening.event.loss:.3f}", happening.cell)
        elif isinstance(happening, Ended):
            self._finish(happening)

    def _finish(self, ended: Ended) -> None:
        self._spent_planned += self._left.pop(ended.cell, 0.0)
        self._spent += ended.seconds
        self._share = 0.0
        reached = "taken" if ended.value is None else f"{ended.metric} {ended.value:.4f}"
        line = f"{ended.cell}: {reached} after {duration(ended.seconds)}"
        self._print(f"{line}, {duration(self._time_left(None))} left")
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
        left = f"{duration(self._time_left(working))} left"
        self._bar.update(self._task, description=line[:60], completed=done, left=left)
        self._sign_of_life(f"{line}, {left}")


class PretrainProgress(_Work):
    """As `RunProgress`, of a pretraining: a bar on a terminal; a line for each point of the curve, and signs of life.

    The time left follows from the updates of this sitting.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._begun_at: int | None = None
        super().__init__(total=1.0)

    def tell(self, happening: PretrainHappening) -> None:
        """Take note of something that happened in the pretraining."""
        if isinstance(happening, Resumed):
            self._print(f"goes on after {happening.done:,} of {happening.total:,} updates")
            self._count(happening.done, happening.total)
        elif isinstance(happening, Point):
            loss, accuracy = happening.held_out.loss, happening.held_out.accuracy
            line = f"{happening.update:,} of {happening.total:,} updates: held-out loss {loss.value:.3f}"
            left = self._count(happening.update, happening.total)
            self._print(f"{line}, {accuracy.value:.1%} named right{left}")
        else:
            line = f"update {happening.done:,} of {happening.total:,}: loss {happening.loss:.3f}"
            left = self._count(happening.done, happening.total)
            self._bar.update(
                self._task, description=line, completed=happening.done, total=happening.total, left=left[2:]
            )
            self._sign_of_life(f"{line}{left}")

    def _count(self, done: int, total: int) -> str:
        """ ", 3 min left", once there is anything to tell it by."""
        if self._begun_at is None:
            self._begun_at, self._started = done, time.perf_counter()
        if done <= self._begun_at:
            return ""
        pace = (time.perf_counter() - self._started) / (done - self._begun_at)
        return f", {duration(pace * (total - done))} left"
