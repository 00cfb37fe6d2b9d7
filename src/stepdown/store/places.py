"""The cache, free space, and what the system says about a path, told in the user's words."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stepdown.errors import StoreError

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_DISK_FAILED = (*_DISK_FULL, errno.EFBIG, errno.EROFS, errno.EIO)


def cache_dir() -> Path:
    """The folder that all runs share, which may not exist yet: $STEPDOWN_CACHE, else the platform's own."""
    named = os.environ.get("STEPDOWN_CACHE")
    if named:
        return Path(named).expanduser().absolute()
    # Imported here, as filelock is in `lock`, so that the atomic writes need the core dependencies alone.
    import platformdirs

    return platformdirs.user_cache_path("stepdown", appauthor=False)


def free_bytes(path: Path) -> int:
    """Bytes free on the disk that holds `path`, which need not exist yet. Raises StoreError if unreadable."""
    place = path.absolute()
    with disk_errors(path, "looked at"):
        while not place.exists():
            place = place.parent
        return shutil.disk_usage(place).free


@contextmanager
def disk_errors(path: Path, action: str = "written") -> Iterator[None]:
    """Turn an OSError of the block into a StoreError: which `path` could not be `action`, why, what to do."""
    try:
        yield
    except OSError as error:
        raise _told(error.errno, error.strerror or str(error), path, action) from error


@contextmanager
def disk_failures(path: Path) -> Iterator[None]:
    """Turn only what is surely the disk's failure into a StoreError; for blocks of the caller's own code.

    Such a block may also read a network or the user's files, whose errors are not ours to explain. Libraries
    written in Rust (safetensors, tokenizers) have no errno, but close their text with "(os error N)".
    """
    try:
        yield
    except Exception as error:
        code = error.errno if isinstance(error, OSError) else None
        if code is None and (said := re.search(r"\(os error (\d+)\)", str(error))):
            code = int(said[1])
        if code in _DISK_FAILED:
            raise _told(code, str(error), path, "written") from error
        raise


def _told(code: int | None, reason: str, path: Path, action: str) -> StoreError:
    """The StoreError for an errno."""
    if code in _DISK_FULL:
        why, todo = "the disk is full", "free some space there, or choose another place, and start again"
        if code == errno.EDQUOT:
            why = "your disk quota is used up"
        with suppress(StoreError):
            why += f" ({free_bytes(path) / 1e6:.1f} MB free)" if code == errno.ENOSPC else ""
    elif code == errno.EFBIG:
        why, todo = "it is larger than the system allows a file to be", "raise that limit (ulimit -f)"
    elif code == errno.EROFS:
        why, todo = "it is on a read-only file system", "choose a place that can be written to"
    elif code in (errno.EACCES, errno.EPERM):
        why, todo = "you have no permission for it", "change the permissions, or choose another place"
    elif code == errno.ENOENT:
        why, todo = "it is not there", "check the path"
    elif code in (errno.ENOTDIR, errno.EEXIST):
        why, todo = "a file is where a folder should be", "move that file, or choose another place"
    elif code == errno.EISDIR:
        why, todo = "a folder is where a file should be", "move that folder, or choose another place"
    else:
        why, todo = f"the system says: {reason}", "check the disk, or choose another place"
    return StoreError(f"{path} could not be {action}: {why}. To go on, {todo}.")
