"""Files and folders that appear whole or not at all; with the standard library alone, as all of this room."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from stepdown import destinations
from stepdown.errors import StoreError


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that takes the place of `path` when the block succeeds, and vanishes when it fails.

    A link is followed, permissions stay. A device or a pipe is written to as it is.

    Raises:
        InputError: `path` is a folder.
        StoreError: the disk is full or read-only, or permission is missing.
    """
    with _told(path):
        stream = path.open("wb") if destinations.is_stream(path) else None
        path = destinations.end_of_links(path)
    if stream is not None:
        with _told(path), stream:
            yield stream
        return
    beside = _beside(path)
    try:
        with _told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            file = beside.open("xb")
        destinations.keep_mode(path, beside)
        with file:
            yield file
            with _told(path):
                file.flush()
                os.fsync(file.fileno())
        with _told(path):
            beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder that takes the place of `path` when the block succeeds, and vanishes when it fails.

    Raises:
        StoreError: as `new_file` does.
    """
    beside, old = _beside(path), _beside(path)
    try:
        with _told(path):
            beside.mkdir(parents=True)
        yield beside
        with _told(path):
            if path.exists():
                path.rename(old)
            beside.rename(path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        if old.exists() and not path.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def write(file: BinaryIO, content: bytes, path: Path) -> None:
    """Write to a file of `new_file`, whose place is `path`. Raises StoreError as that does."""
    with _told(path):
        file.write(content)


def _beside(path: Path) -> Path:
    whole = path.absolute()
    return whole.with_name(f".{whole.name}.{uuid.uuid4().hex[:8]}.tmp")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror or error}. "
            "Free some space or mend the permissions there, or choose another place."
        ) from error
