"""Single members of an archive, read by name.

Nothing else of it touches the disk, and none of its paths is used as one, so no archive can write elsewhere.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from stepdown.errors import HubError

_BLOCK = 1 << 20
_UNREADABLE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, KeyError, NotImplementedError)


def read(archive: Path | bytes, member: str, limit: int) -> bytes:
    """The content of one member of a zip or tar archive.

    Args:
        archive: a file, or its content.
        member: its full name inside.
        limit: bytes that it may have, unpacked.

    Raises:
        HubError: the archive has no such file, is damaged, or the file is larger.
    """
    content = io.BytesIO()
    _copy(archive, member, content, limit)
    return content.getvalue()


def extract(archive: Path, member: str, target: Path, limit: int) -> None:
    """Put one member at `target`, a path of the caller's making. Raises HubError as `read` does."""
    with target.open("wb") as file:
        _copy(archive, member, file, limit)


def join(parts: Sequence[tuple[Path, str]], target: Path, limit: int) -> None:
    """Put several members, each of an archive of its own, one after the other at `target`.

    Raises HubError as `read` does; `limit` is of each part.
    """
    with target.open("wb") as file:
        for archive, member in parts:
            _copy(archive, member, file, limit)


def _copy(archive: Path | bytes, member: str, target: IO[bytes], limit: int) -> None:
    with _opened(archive, member) as file:
        left = limit
        while block := file.read(min(_BLOCK, left + 1)):
            left -= len(block)
            # What an archive says of a member's size may be a lie, so the bytes themselves are counted.
            if left < 0:
                raise HubError(
                    f"{_named(archive)}: {member} is larger than the {limit} bytes that it should have"
                )
            target.write(block)


@contextmanager
def _opened(archive: Path | bytes, member: str) -> Iterator[IO[bytes]]:
    try:
        with io.BytesIO(archive) if isinstance(archive, bytes) else archive.open("rb") as raw:
            if zipfile.is_zipfile(raw):
                with zipfile.ZipFile(raw) as zipped, zipped.open(member) as file:
                    yield file
            else:
                raw.seek(0)
                with tarfile.open(fileobj=raw) as tarred:
                    packed = tarred.extractfile(member)
                    if packed is None:
                        raise KeyError(f"{member} is not a file")
                    with packed:
                        yield packed
    except _UNREADABLE as error:
        raise HubError(f"{_named(archive)} is not the archive it should be: {error}") from error


def _named(archive: Path | bytes) -> str:
    return "an archive inside an archive" if isinstance(archive, bytes) else archive.name
