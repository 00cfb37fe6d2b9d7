"""A server in a process of its own, for tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Served:
    """A `stepdown serve` that runs.

    Attributes:
        process: its process.
        url: where it listens.
        lines: what it wrote to stderr so far.
    """

    def __init__(self, *words: str | Path, files: int | None = None) -> None:
        """Start it, with so many files at most."""
        within = [] if files is None else ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
        self.process = subprocess.Popen(
            [*within, sys.executable, "-m", "stepdown", "serve", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        self.lines: list[str] = []
        self.url = ""
        self._begun = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._begun.wait(60), self.lines
        assert self.url, self.lines

    @property
    def port(self) -> int:
        """The port of `url`."""
        return int(self.url.rsplit(":", 1)[1])

    def ended(self) -> int:
        """The exit code, once all that it wrote was read."""
        code = self.process.wait(60)
        self._reader.join()
        return code

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip("\n"))
            if found := re.search(r"http://\S+", line):
                self.url = found.group()
                self._begun.set()
        self._begun.set()


@contextmanager
def served(*words: str | Path, files: int | None = None) -> Iterator[Served]:
    """A server that is gone after the block."""
    server = Served(*words, files=files)
    try:
        yield server
    finally:
        server.process.kill()
        server.ended()
        assert server.process.stdout is not None
        assert server.process.stderr is not None
        server.process.stdout.close()
        server.process.stderr.close()
