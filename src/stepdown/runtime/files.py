"""Reads the files of a bundle that may come from a stranger: bounded, checked, and nothing else touched.

A bundle is a folder or a zip archive. Of a folder only the named files are opened, never through a link; of
an archive nothing is unpacked to the disk, so no name in it can point anywhere. Sizes are compared with what
was promised before anything is read.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from stepdown.errors import BundleError
from stepdown.runtime import archive

ABOUT = "bundle.json"
# Largest network: what the ONNX format itself allows. Other files are read as text, in several times their size.
LARGEST = 2**31 - 1
LARGEST_TEXT = 64 * 2**20
LARGEST_ABOUT = 4 * 2**20
MOST_FILES = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# What packs better than this is no model, but an archive made to fill a memory: weights pack to a
# half, text to a fifth.
_MOST_PACKED = 32


class Files(Protocol):
    """The files of a bundle, by name."""

    def names(self) -> set[str]:
        """Names of all files there are."""

    def size(self, name: str) -> int:
        """Bytes of a file as the file system or archive tells them."""

    def read(self, name: str, size: int) -> bytes:
        """The content of a file of exactly `size` bytes."""


def check_name(name: str, where: str) -> None:
    """Raises BundleError unless `name` is a plain file name that means the same everywhere."""
    if not _NAME.fullmatch(name):
        raise BundleError(
            f"{where} names a file {name!r}. Files of a bundle lie side by side and are named with letters, "
            "digits, '.', '_' and '-' only. Do not trust this bundle."
        )


@contextmanager
def opened(path: Path) -> Iterator[Files]:
    """The files of the bundle at `path`.

    Raises:
        BundleError: there is no bundle, or its archive is damaged.
    """
    with told(path):
        is_folder, is_file = path.is_dir() and (path / ABOUT).exists(), path.is_file()
    if is_folder:
        yield _Folder(path)
    elif is_file:
        with _archive_errors(path), path.open("rb") as file:
            yield _Archive(path, file)
    else:
        raise BundleError(
            f"There is no bundle at {path}. Expected a folder with {ABOUT}, or a .stepdown file.{_hint(path)}"
        )


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Looking for a bundle at a path that cannot be looked at is a BundleError."""
    try:
        yield
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read: {error.strerror or error}. Check the name and its permissions."
        ) from error


def _hint(path: Path) -> str:
    if (path / "bundle" / ABOUT).is_file():
        return f" Did you mean {path / 'bundle'}?"
    if (path / "config.json").is_file():
        return " That is a model, of which `stepdown export` makes a bundle once it was part of a run."
    return " Check the spelling; `stepdown export RUN` makes one."


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> set[str]:
        return {entry.name for entry in self.path.iterdir()}

    def size(self, name: str) -> int:
        return self._stat(name).st_size

    def read(self, name: str, size: int) -> bytes:
        self._stat(name)
        # Should the file have become a link or a pipe since: neither followed nor waited for.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with self._errors(name):
            handle = os.open(self.path / name, flags | getattr(os, "O_BINARY", 0))
            with open(handle, "rb") as file:  # noqa: PTH123  # a handle, which no Path opens
                return _exactly(file.read(size + 1), size, str(self.path / name))

    def _stat(self, name: str) -> os.stat_result:
        with self._errors(name):
            found = (self.path / name).lstat()
        if not stat.S_ISREG(found.st_mode):
            raise BundleError(
                f"{self.path / name} is not a plain file, and links out of a bundle are not followed. "
                "Put the file itself there."
            )
        return found

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise BundleError(
                f"{self.path} has no {name}, so it is no complete bundle. Copy it again, or export it."
            ) from error
        except OSError as error:
            raise BundleError(
                f"{self.path / name} cannot be read: {error.strerror}. Mend its permissions."
            ) from error


class _Archive:
    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.file = file
        self.entries: dict[str, archive.Entry] = {}
        listed = archive.entries(file)
        if len(listed) > MOST_FILES + 1:
            raise BundleError(f"{path} holds more than {MOST_FILES} files, so it is no bundle.")
        for entry in listed:
            check_name(entry.name, str(path))
            if entry.name in self.entries:
                raise BundleError(f"{path} holds {entry.name} twice. Do not trust this bundle.")
            if entry.is_link:
                raise BundleError(f"{path} holds {entry.name} as a link. Do not trust this bundle.")
            self.entries[entry.name] = entry

    def names(self) -> set[str]:
        return set(self.entries)

    def size(self, name: str) -> int:
        if name not in self.entries:
            raise BundleError(f"{self.path} has no {name}, so it is no complete bundle. Copy it again.")
        entry = self.entries[name]
        if entry.size > max(2**20, _MOST_PACKED * entry.packed):
            raise BundleError(
                f"{self.path}: {name} would unpack {entry.packed:,} bytes to {entry.size:,}. "
                "Do not trust this bundle."
            )
        return entry.size

    def read(self, name: str, size: int) -> bytes:
        content = archive.content(self.file, self.entries[name])
        return _exactly(content, size, f"{self.path}: {name}")


def _exactly(content: bytes, size: int, what: str) -> bytes:
    if len(content) != size:
        raise BundleError(f"{what} has not the {size:,} bytes that it promised. Copy the bundle again.")
    return content


@contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except BundleError:
        raise
    except OSError as error:
        raise BundleError(
            f"{path} cannot be read: {error.strerror or error}. Copy the bundle again."
        ) from error
    except ValueError as error:
        raise BundleError(
            f"{path} is not a whole zip archive ({error}), which a single-file bundle is. Copy it again."
        ) from error
