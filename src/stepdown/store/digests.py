"""What something was made from, as 64 hex digits."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from stepdown.store.places import disk_errors


def digest(*parts: bytes | str | Path | np.ndarray) -> str:
    """sha256 of the parts in order. A Path counts as what its file, or its folder with all below, contains.

    Each part carries its type and length, so ("ab", "c"), ("a", "bc") and (b"ab", "c") all differ. An array
    counts by type, shape and values, whatever its layout in memory.

    Raises:
        StoreError: a file cannot be read.
        TypeError: a part is of another type, or an array of Python objects.
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            _add(total, b"b", part)
        elif isinstance(part, str):
            _add(total, b"s", part.encode("utf-8", "surrogatepass"))
        elif isinstance(part, Path):
            _add(total, b"p", _content(part))
        elif isinstance(part, np.ndarray) and not part.dtype.hasobject:
            layout = (np.lib.format.dtype_to_descr(part.dtype), part.shape)
            _add(total, b"a", repr(layout).encode())
            _add(total, b"v", part.tobytes(order="C"))
        else:
            kind = part.dtype if isinstance(part, np.ndarray) else type(part).__name__
            raise TypeError(f"a digest is of bytes, str, Path and arrays of plain values, not of {kind}")
    return total.hexdigest()


# Models are asked for by digest again and again; below this size, reading once more costs nothing.
_REMEMBERED_BYTES = 1 << 20


def file_digest(path: Path) -> str:
    """sha256 of a file's content, as `sha256sum` prints it. Raises StoreError if it cannot be read.

    That of a large file is remembered as long as the file keeps its place on disk, its size and its times.
    """
    with disk_errors(path, "read"):
        status = path.stat()
        if status.st_size < _REMEMBERED_BYTES:
            return _read(path)
        marks = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        return _remembered(path, marks)


@lru_cache(maxsize=256)
def _remembered(path: Path, marks: tuple[int, ...]) -> str:
    return _read(path)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(path: Path) -> bytes:
    """The digest of a file, or the names and digests of all files of a folder in order."""
    if not path.is_dir():
        return bytes.fromhex(file_digest(path))
    with disk_errors(path, "read"):
        files = sorted(
            (file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file()
        )
    return b"".join(f"{file_digest(file)} {name}\n".encode() for name, file in files)


def _add(total: hashlib._Hash, kind: bytes, content: bytes) -> None:
    total.update(kind + len(content).to_bytes(8, "little"))
    total.update(content)
