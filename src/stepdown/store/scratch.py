"""Files without a name, for what does not fit in memory: they go when their process does, however it ends."""

from __future__ import annotations

import tempfile
import weakref
from typing import BinaryIO, cast

from stepdown.store.places import cache_dir, disk_errors


class Scratch:
    """A file without a name that is closed when nobody holds it.

    It is on the disk of the cache: a system's own place for such files is often held in memory.

    Attributes:
        file: to read from, wherever one likes.
    """

    def __init__(self) -> None:
        """Make it.

        Raises:
            StoreError: the disk is full or read-only, or permission is missing.
        """
        with disk_errors(cache_dir()):
            cache_dir().mkdir(parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=cache_dir())  # noqa: SIM115 (it outlives this block)
            self.file = cast(BinaryIO, file)
        weakref.finalize(self, self.file.close)

    def add(self, content: bytes) -> int:
        """Write at the end of the file.

        Returns:
            Where the content begins, for `file.seek`.

        Raises:
            StoreError: the disk is full or fails.
        """
        with disk_errors(cache_dir()):
            start = self.file.seek(0, 2)
            self.file.write(content)
            self.file.flush()
        return start
