"""Rows of numbers that are found by a text, on disk: memory does not grow with them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from stepdown.store.scratch import Scratch

# Heaps by the leading bits of a text's hash: one of them at a time is in memory while it is sorted.
_HEAP_BITS = 6


class Lookup:
    """What was said of texts, float32 rows of one width, by the texts' hashes of 64 bits.

    Two of ten million different texts have one hash with a probability of 3 in a million.

    Attributes:
        width: numbers of a row.
        contradicted: texts that came again with other numbers, of which the first stay; known once it is closed.
        digest: of all that is in it, in whatever order it came; known once it is closed.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.contradicted = 0
        self.digest = ""
        self._record = np.dtype([("key", "<u8"), ("row", "<f4", (width,))])
        self._heaps: dict[int, Scratch] = {}
        self._files: tuple[Scratch, Scratch] | None = None
        self._keys: NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._rows: NDArray[np.float32] = np.zeros((0, width), np.float32)

    def __len__(self) -> int:
        """Texts that are in it, once it is closed."""
        return len(self._keys)

    def add(self, texts: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Take in some texts and their rows, [n, width].

        Raises:
            StoreError: the disk of the cache is full or fails.
        """
        some = np.zeros(len(texts), self._record)
        some["key"], some["row"] = _hashes(texts), rows
        heaps = some["key"] >> np.uint64(64 - _HEAP_BITS)
        for heap in np.unique(heaps).tolist():
            if heap not in self._heaps:
                self._heaps[heap] = Scratch()
            self._heaps[heap].add(some[heaps == heap].tobytes())

    def close(self) -> None:
        """Sort what came in; from now on it is found, and nothing more comes in.

        Raises:
            StoreError: the disk of the cache is full or fails.
        """
        keys, rows = self._files = Scratch(), Scratch()
        total, count = hashlib.sha256(), 0
        # Heap by heap in the order of their hashes: all of them together are sorted, too.
        for heap in sorted(self._heaps):
            held = self._heaps.pop(heap)  # its file is open as long as somebody holds it
            held.file.seek(0)
            some = np.frombuffer(held.file.read(), self._record)
            some = some[np.argsort(some["key"], kind="stable")]
            again = np.r_[False, some["key"][1:] == some["key"][:-1]]
            first = some[~again]
            differs = (some["row"] != first["row"][np.cumsum(~again) - 1]).any(1)
            self.contradicted += len(np.unique(some["key"][differs]))
            total.update(first.tobytes())
            keys.add(first["key"].tobytes())
            rows.add(first["row"].tobytes())
            count += len(first)
        if count:  # an empty file cannot be mapped
            self._keys = np.memmap(keys.file, np.uint64, "r", shape=(count,))
            self._rows = np.memmap(rows.file, np.float32, "r", shape=(count, self.width))
        self.digest = total.hexdigest()

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The row of each text, float32 [n, width]; NaN where there is none."""
        found = np.full((len(texts), self.width), np.nan, np.float32)
        if len(self._keys) and len(texts):
            wanted = _hashes(texts)
            at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
            there = self._keys[at] == wanted
            found[there] = self._rows[at[there]]
        return found


def _hashes(texts: Sequence[str]) -> NDArray[np.uint64]:
    content = b"".join(
        blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts
    )
    return np.frombuffer(content, "<u8").astype(np.uint64)
