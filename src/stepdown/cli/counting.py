"""Progress of a command that goes through rows, on stderr; without the libraries of the other progress bars."""

from __future__ import annotations

import sys
import time

import click

from stepdown.cli.durations import duration

# A line that is written over again and again, and lines that are kept and read later.
_LIVE_SECONDS, _KEPT_SECONDS = 0.5, 30.0


class RowProgress:
    """Rows done, rows a second and the time left: in place on a terminal, elsewhere as a line now and then."""

    def __init__(self) -> None:
        """Begin to count."""
        self._live = sys.stderr.isatty()
        self._started = self._shown = time.monotonic()
        self._width = 0

    def __call__(self, rows: int, share: float | None = None) -> None:
        """So many rows are done, which are this share of all; None where nobody knows."""
        now = time.monotonic()
        if now - self._shown < (_LIVE_SECONDS if self._live else _KEPT_SECONDS):
            return
        self._shown = now
        spent = now - self._started
        said = f"{rows:,} rows, {rows / spent:,.0f} a second"
        if share:
            said = f"{said}, {share:.0%}, {duration(spent / share * (1 - share))} left"
        if self._live:
            self._width = max(self._width, len(said))
            click.echo(f"\r{said:{self._width}}", nl=False, err=True)
        else:
            click.echo(said, err=True)

    def end(self) -> None:
        """Leave a clean line, whatever ended the work."""
        if self._width:
            click.echo(f"\r{'':{self._width}}\r", nl=False, err=True)
            self._width = 0
