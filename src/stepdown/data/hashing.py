"""Texts as hashes of their words, for comparison: the same in every process, and a few bytes a word.

A pair of texts (`tasks.joined`) is one row of two parts. Runs of words never cross from one part into the other, and
(a, b) is not (b, a).
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from stepdown.tasks import parts

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]

# There are no spaces to tell Chinese and Japanese words by: each of their characters is a word of its own.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
_BASE = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 1 << 22  # words that are hashed at once


def normalise(text: str) -> list[str]:
    """The words of a text for comparison; a text without any (`"!!!"`, an emoji) is one word as it stands."""
    folded = (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()
    return _WORD.findall(folded) or ["".join(folded.split())]


@dataclass(frozen=True)
class Words:
    """n rows, each one text or a pair of them, as flat word hashes.

    Attributes:
        hashes: uint64 [total words].
        offsets: int64 [parts + 1]; part i is `hashes[offsets[i]:offsets[i + 1]]`, at least one word.
        sides: parts of a row, one after the other: 1, or 2 where rows are pairs.
    """

    hashes: Keys
    offsets: Ints
    sides: int = 1

    def __len__(self) -> int:
        return (len(self.offsets) - 1) // self.sides

    @property
    def parts(self) -> Words:
        """Every part as a row of its own."""
        return self if self.sides == 1 else Words(self.hashes, self.offsets)

    @cached_property
    def part_lengths(self) -> Ints:
        """Words of each part, int64 [parts]."""
        return np.diff(self.offsets)

    @cached_property
    def lengths(self) -> Ints:
        """Words of each row, int64 [n]."""
        lengths: Ints = self.part_lengths.reshape(-1, self.sides).sum(axis=1)
        return lengths

    @cached_property
    def whole(self) -> Keys:
        """One key per row, uint64 [n]: equal for rows that are equal after normalisation."""
        if self.sides == 2:
            first, second = self.part_keys.T
            return mix(first * _BASE + second)
        powers = _powers(int(self.lengths.max(initial=0)))
        keys = np.empty(len(self), np.uint64)
        for first_row, last in _blocks(self):
            start, end = self.offsets[first_row], self.offsets[last]
            begins = self.offsets[first_row:last] - start
            place = np.arange(end - start) - np.repeat(begins, self.lengths[first_row:last])
            keys[first_row:last] = np.add.reduceat(self.hashes[start:end] * powers[place], begins)
        return mix(keys)

    @property
    def part_keys(self) -> Keys:
        """One key per part, uint64 [n, sides]: equal for parts that are equal after normalisation."""
        return self.parts.whole.reshape(-1, self.sides)

    def take(self, rows: Ints) -> Words:
        """Some rows, int64 [m], in that order."""
        taken = (rows[:, None] * self.sides + np.arange(self.sides)).ravel()
        lengths = self.part_lengths[taken]
        offsets = _offsets(lengths)
        shift = np.repeat(self.offsets[taken] - offsets[:-1], lengths)
        return Words(self.hashes[np.arange(offsets[-1]) + shift], offsets, self.sides)


class _Hashes(dict[str, int]):
    """Word to 64-bit hash, remembered; the same in every process, unlike `hash`."""

    def __missing__(self, word: str) -> int:
        value = int.from_bytes(
            blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
        )
        if len(self) < 1 << 18:  # the frequent words are among the first
            self[word] = value
        return value


_hash = _Hashes()


def words(texts: Iterable[str]) -> Words:
    """Texts, all of them single or all of them pairs, as word hashes."""
    flat = array("Q")
    lengths = array("q")
    rows = 0
    for text in texts:
        rows += 1
        for part in parts(text):
            found = normalise(part)
            lengths.append(len(found))
            flat.extend(map(_hash.__getitem__, found))
    sides = 2 if rows and len(lengths) == 2 * rows else 1
    assert len(lengths) == sides * rows, "pairs among single texts"
    return Words(np.frombuffer(flat, np.uint64), _offsets(np.frombuffer(lengths, np.int64)), sides)


def join(several: Sequence[Words]) -> Words:
    """The rows of all, one after the other."""
    lengths = np.concatenate([one.part_lengths for one in several])
    hashes = np.concatenate([one.hashes for one in several])
    return Words(hashes, _offsets(lengths), max(one.sides for one in several))


def windows(texts: Words, n: int) -> Iterator[tuple[Keys, Ints]]:
    """Keys of the n-word runs of all parts, and the row that each stands in, in blocks."""
    for first, last in _blocks(texts.parts):
        flat = texts.hashes[texts.offsets[first] : texts.offsets[last]]
        if len(flat) < n:
            continue
        lengths = texts.part_lengths[first:last]
        runs = np.zeros(len(flat) - n + 1, np.uint64)
        for place in range(n):
            runs = runs * _BASE + flat[place : place + len(runs)]
        ends = np.repeat(texts.offsets[first + 1 : last + 1] - texts.offsets[first], lengths)[: len(runs)]
        inside = np.arange(len(runs)) + n <= ends
        rows = np.repeat(np.arange(first, last) // texts.sides, lengths)[: len(runs)]
        yield mix(runs[inside]), rows[inside]


def _blocks(texts: Words) -> Iterator[tuple[int, int]]:
    """Ranges of single texts, each of about `_BLOCK` words or one text."""
    first = 0
    while first < len(texts):
        reach = int(np.searchsorted(texts.offsets, texts.offsets[first] + _BLOCK, side="right")) - 1
        last = min(max(reach, first + 1), len(texts))
        yield first, last
        first = last


def mix(keys: Keys) -> Keys:
    """Spread keys over all bits (the finaliser of SplitMix64; Steele, Lea and Flood 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))


def _powers(count: int) -> Keys:
    powers = np.full(count, _BASE, np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers, dtype=np.uint64)


def _offsets(lengths: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
