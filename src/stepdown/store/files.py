"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stepdown import destinations
from stepdown.errors import StoreError
from stepdown.store.places import disk_errors, disk_failures
from stepdown.store.processes import host, is_alive

_TEMPORARY = re.compile(r"\.stepdown-(?P<host>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}\.tmp")
# An unfinished write of another machine is taken for abandoned after this long; for our own machine we look
# whether the process is alive.
_ABANDONED_SECONDS = 7 * 24 * 3600
# Permissions of what goes through tempfile, or its like in another language.
_PRIVATE = 0o600


@contextmanager
def write_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new binary file that takes the place of `path` if the block succeeds, and vanishes if it fails.

    The folder is made if need be. What was at `path` stays readable until the rename. A link is followed, permissions
    stay. A device or a pipe is written to as it is.

    Raises:
        InputError: `path` is a folder.
        StoreError: the disk is full or read-only, or permission is missing.
    """
    with disk_errors(path):
        stream = path.open("wb") if destinations.is_stream(path) else None
        path = destinations.end_of_links(path)
    if stream is not None:
        with disk_failures(path), stream:
            yield stream
        return
    temporary = _temporary(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not tempfile, whose files are private to the user: ours take the permissions that the umask gives.
        file = temporary.open("xb")
    destinations.keep_mode(path, temporary)
    try:
        with disk_failures(path), file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        with disk_errors(path):
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    flush_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all. Raises StoreError as `write_file` does."""
    with write_file(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Put `content` at `path` as UTF-8, line ends as they are, whole or not at all."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Put `value` at `path` as indented JSON, whole or not at all.

    Paths and numpy's numbers and arrays are written as what they hold. NaN and infinity are refused
    (ValueError), because JSON has neither and many readers stop at them: an unknown value is None.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=_plain)
    write_text(path, text + "\n")


def read_json(path: Path) -> Any:
    """The value of the JSON file at `path`.

    Raises:
        StoreError: it is not there, cannot be read, or is not JSON.
    """
    with disk_errors(path, "read"):
        content = path.read_bytes()
    try:
        return json.loads(content)
    except ValueError as error:
        raise StoreError(
            f"{path} is damaged: it is not JSON ({error}). Remove it, and start again."
        ) from error


@contextmanager
def append(path: Path) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yield a function that adds an object, with the time, as a line of JSON to the file at `path`.

    A line is written at once, so that whoever reads the file sees what has happened; a line that a killed process
    left half-written is closed, and the next one starts on its own.

    Raises:
        StoreError: the disk is full or read-only, or permission is missing.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    with file:
        if file.tell() and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n":
            file.write(b"\n")

        def add(value: dict[str, Any]) -> None:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            about = {"time": now, **{key: _finite(one) for key, one in value.items()}}
            line = json.dumps(about, ensure_ascii=False, allow_nan=False, default=_plain) + "\n"
            with disk_errors(path):
                file.write(line.encode("utf-8"))
                file.flush()

        yield add


@contextmanager
def write_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `path` if the block succeeds, and vanishes if it fails.

    A folder that was at `path` is replaced. That needs two renames, so a kill exactly between them leaves
    nothing at `path`; nothing leaves a mixture. Leftovers of killed writers beside `path` are swept. Files that a
    library made for their owner alone, as safetensors does, get the permissions that the umask gives.

    Raises:
        StoreError: the disk is full or read-only, or permission is missing, also where the block met it.
    """
    temporary = _temporary(path)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        temporary.mkdir()
    try:
        with disk_failures(path):
            yield temporary
        with disk_errors(path):
            _share(temporary)
            flush_tree(temporary)
            _replace_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    flush_folder(path.parent)


def _share(folder: Path) -> None:
    """Give private files of a folder the permissions of any new file: those of the folder, which cannot be run."""
    usual = folder.stat().st_mode & 0o666
    for place, _, names in os.walk(folder):
        for file in (Path(place, name) for name in names):
            if stat.S_IMODE(file.stat().st_mode) == _PRIVATE:
                file.chmod(usual)


def _replace_folder(new: Path, path: Path) -> None:
    if not path.is_dir():
        new.rename(path)
        return
    previous = _temporary(path)  # so that, should we die before it is removed, it will be swept
    path.rename(previous)
    try:
        new.rename(path)
    except OSError:
        previous.rename(path)
        raise
    shutil.rmtree(previous, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what killed writers left directly in `folder`: files and folders that never took their place."""
    for leftover in folder.glob(".stepdown-*.tmp"):
        if not _is_abandoned(leftover):
            continue
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            with suppress(OSError):
                leftover.unlink()


def is_temporary(path: Path) -> bool:
    """Whether `path` is the name of something unfinished."""
    return _TEMPORARY.fullmatch(path.name) is not None


def flush_tree(folder: Path) -> None:
    """Flush all files of a folder, whoever wrote them, and the folders that name them. Raises OSError."""
    mode = "rb+" if os.name == "nt" else "rb"  # elsewhere a file that is read-only can be flushed too
    for place, _, names in os.walk(folder):
        for name in names:
            with Path(place, name).open(mode) as file:
                os.fsync(file.fileno())
        flush_folder(Path(place))


def flush_folder(folder: Path) -> None:
    """Flush the names in a folder, so that a rename outlives a power cut, on systems that can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    # Some network file systems refuse; the rename itself has been done all the same.
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _temporary(path: Path) -> Path:
    """A new name beside `path`; it tells machine and process, so that a leftover can be told from work."""
    return path.with_name(f".stepdown-{host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")


def _is_abandoned(leftover: Path) -> bool:
    named = _TEMPORARY.fullmatch(leftover.name)
    if named is None:
        return False
    if named["host"] == host():
        return not is_alive(int(named["pid"]))
    try:
        return time.time() - leftover.stat().st_mtime > _ABANDONED_SECONDS
    except OSError:
        return False


def _finite(value: Any) -> Any:
    """None for a number that JSON has no word for, as the loss of a training that diverges."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    """What JSON can hold of a value that it does not know."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} cannot be written as JSON")
