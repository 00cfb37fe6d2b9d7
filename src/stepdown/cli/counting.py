"""Progress of a command that goes through rows of which nobody knows how many there are."""

from __future__ import annotations

import sys
import time

import click

# Where nobody watches, a line this often.
_QUIET_SECONDS = 30.0


class RowProgress:
    """Rows done and rows a second: on one line of the terminal, twice a second; elsewhere a line now and then."""

    def __init__(self, *, quiet: bool = False) -> None:
        """Begin to count; a quiet one says nothing where nobody watches."""
        self._started = self._shown = time.monotonic()
        self._watched = sys.stderr.isatty()
        self._silent = quiet and not self._watched

    def __call__(self, rows: int) -> None:
        """So many rows are done."""
        now = time.monotonic()
        if self._silent or now - self._shown < (0.5 if self._watched else _QUIET_SECONDS):
            return
        self._shown = now
        line = f"{rows:,} rows, {rows / (now - self._started):,.0f} a second"
        click.echo(f"\r{line} " if self._watched else line, nl=not self._watched, err=True)

    def end(self) -> None:
        """Leave a clean line."""
        if self._watched:
            click.echo("\r", nl=False, err=True)
