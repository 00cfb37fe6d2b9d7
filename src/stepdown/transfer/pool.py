"""Texts without labels, on disk: in random order, cut into chunks, however many there are."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from stepdown import store

# Texts of a chunk: a few seconds of a 6-layer encoder's work, and a few hundred kilobytes.
CHUNK = 2048


class Pool:
    """Texts in a nameless file that goes when the process does; one chunk of them is in memory at a time.

    Attributes:
        digests: of the texts of each chunk.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        """Write texts to disk, in the order in which they come.

        Raises:
            StoreError: the disk fails.
        """
        self.digests: list[str] = []
        self._starts: list[int] = []
        self._count = 0
        self._scratch: store.Scratch | None = None
        for chunk in cut(texts):
            self._scratch = self._scratch or store.Scratch()
            # JSON, of ASCII alone: half a surrogate pair, which UTF-8 has no way to write, comes back as it was.
            self._starts.append(self._scratch.add(json.dumps(chunk).encode() + b"\n"))
            self.digests.append(store.digest(*chunk))
            self._count += len(chunk)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for chunk in self.chunks():
            yield from chunk

    def chunks(self) -> Iterator[list[str]]:
        """All texts, chunk by chunk."""
        for index in range(len(self.digests)):
            yield self.chunk(index)

    def chunk(self, index: int) -> list[str]:
        """The texts of one chunk: 2,048, of the last one at least one."""
        assert self._scratch is not None, "a pool without chunks"
        self._scratch.file.seek(self._starts[index])
        texts: list[str] = json.loads(self._scratch.file.readline())
        return texts


def cut(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in chunks."""
    chunk: list[str] = []
    for text in texts:
        chunk.append(text)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
