"""One holder at a time, over processes and threads, with a message that can name who holds it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stepdown.errors import StoreError
from stepdown.store.places import disk_errors
from stepdown.store.processes import host, is_alive

_LOG = logging.getLogger(__name__)


@contextmanager
def lock(path: Path, holder_says: str, wait: bool) -> Iterator[None]:
    """Hold the lock file `path` during the block.

    It is a lock of the operating system: it ends with its process, however that dies, and nothing stale has
    to be cleaned up. The lock file stays, because removing it would let two waiters each hold a different
    one. It is not re-entrant: a holder that asks for it again waits for itself.

    Args:
        path: of the lock file; its folder is made if need be. A file beside it, named `path` + ".holder",
            tells who holds it, for messages only.
        holder_says: what a taken lock means, such as "another run is working in runs/demo".
        wait: for the holder to end, which a warning in the log tells; otherwise a taken lock is an error.

    Raises:
        StoreError: the lock is taken (the message names the process) and `wait` is false, or the disk fails.
    """
    import filelock

    path = path.absolute()
    holder = path.with_name(path.name + ".holder")
    with disk_errors(path, "locked"):
        path.parent.mkdir(parents=True, exist_ok=True)
        guard = filelock.FileLock(path)
        try:
            guard.acquire(timeout=0)
        except filelock.Timeout:
            taken = f"{holder_says}{_who(holder)}"
            if not wait:
                raise StoreError(f"{taken}. Wait until it ends, or stop it, and start again.") from None
            _LOG.warning("%s; waiting for it to end", taken)
            guard.acquire()
    try:
        with suppress(OSError):  # a full disk keeps nobody from a lock
            holder.write_text(json.dumps({"pid": os.getpid(), "host": host()}), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        guard.release()


def _who(holder: Path) -> str:
    """Who holds a lock, as " (process N)"; nothing if the note is absent or its process is gone."""
    try:
        note = json.loads(holder.read_bytes())
        pid, where = int(note["pid"]), str(note["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if where != host():
        return f" (process {pid} of another machine)"
    return f" (process {pid})" if is_alive(pid) else ""
