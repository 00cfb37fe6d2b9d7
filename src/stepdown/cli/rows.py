"""Progress through the rows of a stream or a file, on stderr; without the libraries of the other progress bars."""

from __future__ import annotations

import time

import click

from stepdown.cli.durations import duration

# A line that is written over again and again, and lines that are kept and read later.
_LIVE_SECONDS, _KEPT_SECONDS = 0.5, 30.0


class RowProgress:
    """Rows done, rows a second and the time left: in place on a terminal, elsewhere as a line now and then."""

    def __init__(self, *, live: bool) -> None:
        """Begin; `live` where stderr is a terminal that shows nothing else."""
        self._live = live
        self._started = self._shown = time.monotonic()
        self._width = 0

    def __call__(self, rows: int, share: float | None = None) -> None:
        """Take note of how far it is: rows that are done, and how much of all that is, 0 to 1, where it is known."""
        now = time.monotonic()
        if now - self._shown < (_LIVE_SECONDS if self._live else _KEPT_SECONDS):
            return
        self._shown = now
        spent = now - self._started
        said = f"{rows:,} rows, {rows / spent:,.0f} a second"
        if share:
            left = duration(spent / share * (1 - share))
            said = f"{said}, {share:.0%}, {left} left"
        self._say(said)

    def end(self) -> None:
        """Clear the terminal's line, whatever ended the work."""
        if self._width:
            click.echo(f"\r{'':{self._width}}\r", nl=False, err=True)
            self._width = 0

    def _say(self, said: str) -> None:
        if not self._live:
            click.echo(said, err=True)
            return
        self._width = max(self._width, len(said))
        click.echo(f"\r{said:{self._width}}", nl=False, err=True)
