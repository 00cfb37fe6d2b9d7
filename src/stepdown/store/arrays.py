"""Arrays on disk that notice when they were damaged."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from stepdown.store.files import write_file
from stepdown.store.places import disk_errors

_DIGEST_BYTES = hashlib.sha256().digest_size
_BLOCK = 1 << 20


class _Summed:
    """A file for `numpy.lib.format` that sums up what passes through it."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.total = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.total.update(content)
        return self.file.write(content)


def save_array(path: Path, array: np.ndarray) -> None:
    """Put an array at `path`, whole or not at all: an ordinary .npy file, followed by the sha256 of it.

    `numpy.load` reads it too, since it does not look beyond the values.

    Raises:
        StoreError: as `write_file`.
        ValueError: an array of Python objects, which would need pickle.
    """
    with write_file(path) as file:
        summed = _Summed(file)
        np.lib.format.write_array(summed, array, allow_pickle=False)
        file.write(summed.total.digest())


def load_array(path: Path) -> np.ndarray | None:
    """The array that `save_array` put at `path`; None if there is none, or a single byte of it changed.

    Raises:
        StoreError: it is there and cannot be read.
    """
    with disk_errors(path, "read"):
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        with file:
            # Summed up in blocks, then read from the file itself: never twice in memory.
            left = os.fstat(file.fileno()).st_size - _DIGEST_BYTES
            total = hashlib.sha256()
            while left > 0 and (block := file.read(min(left, _BLOCK))):
                total.update(block)
                left -= len(block)
            if left != 0 or file.read() != total.digest():
                return None
            file.seek(0)
            array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
            return array
