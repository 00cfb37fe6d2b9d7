"""Texts, and pairs of texts, as ids in flat arrays, and what every tokenizer of the package can do."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from stepdown.errors import BundleError, InputError
from stepdown.tasks import SEPARATOR, parts


@dataclass(frozen=True, eq=False)
class Tokens:
    """The ids of n texts, one after the other in one array, so that a million texts cost no million objects.

    Attributes:
        ids: int32, shape [total]; text i is `ids[offsets[i]:offsets[i + 1]]`.
        offsets: int64, shape [n + 1]; starts at 0, never falls. No text is empty.
        truncated: bool, shape [n]; true where a text was cut to the length asked for.
    """

    ids: np.ndarray
    offsets: np.ndarray
    truncated: np.ndarray

    def __len__(self) -> int:
        return len(self.truncated)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Ids of each text: int64, shape [n]."""
        found: np.ndarray = self.offsets[1:] - self.offsets[:-1]  # np.diff takes longer to start
        return found

    def take(self, indices: np.ndarray) -> Tokens:
        """The texts at these positions, in this order; a position may come twice.

        Args:
            indices: integers, shape [m].
        """
        lengths = self.lengths[indices]
        offsets = _offsets(lengths)
        # Where each new id stands in the old array: its place in the row, plus where that row began.
        shift = np.repeat(self.offsets[:-1][indices] - offsets[:-1], lengths)
        return Tokens(self.ids[np.arange(offsets[-1]) + shift], offsets, self.truncated[indices])

    def pad(self, indices: np.ndarray, pad_id: int) -> tuple[np.ndarray, np.ndarray]:
        """The texts at these positions as one rectangle, padded on the right.

        Args:
            indices: integers, shape [B].
            pad_id: fills the rows behind their texts.

        Returns:
            ids, int64, shape [B, L] with L the longest of them, and lengths, int64, shape [B].
        """
        lengths = self.lengths[indices]
        longest = int(lengths.max(initial=0))
        columns = np.arange(longest)
        positions = self.offsets[:-1][indices][:, None] + columns
        # Positions behind a row's end point at other texts or past the array: overwritten just below.
        ids = (
            self.ids.take(positions, mode="clip").astype(np.int64)
            if positions.size
            else np.zeros_like(positions)
        )
        ids[columns >= lengths[:, None]] = pad_id
        return ids, lengths

    @staticmethod
    def concat(parts: Sequence[Tokens]) -> Tokens:
        """The texts of all parts, in order."""
        if not parts:
            return Tokens(np.zeros(0, np.int32), np.zeros(1, np.int64), np.zeros(0, bool))
        return Tokens(
            np.concatenate([part.ids for part in parts]),
            _offsets(np.concatenate([part.lengths for part in parts])),
            np.concatenate([part.truncated for part in parts]),
        )


class Tokenizer(Protocol):
    """Reads texts as the ids of one vocabulary."""

    @property
    def kind(self) -> str:
        """`words`, `bert-wordpiece`, or `huggingface`; the first two belong to the bundle format."""

    @property
    def pad_id(self) -> int:
        """Fills a batch behind the shorter texts."""

    @property
    def vocab_size(self) -> int:
        """All ids are below it."""

    def encode(self, texts: Sequence[str], max_length: int) -> Tokens:
        """The texts as ids, at most `max_length` each, special ones included.

        A pair, two texts with `tasks.SEPARATOR` between them, is cut as `longest_first` says.
        """

    def save(self, folder: Path) -> None:
        """Write the tokenizer into an existing folder, where `tokens.load` finds it."""

    def spec(self) -> dict[str, Any]:
        """Its kind, its files and its normalisation, as a bundle tells them."""


LARGEST_VOCABULARY = 16 * 2**20
"""Bytes of the file of a vocabulary; what is read of it takes many times as much memory."""
MOST_ENTRIES = 1 << 20
"""Entries of a vocabulary."""

# Longer chunks hardly ever come back, and they are what would fill the memory.
_LONGEST_KEPT = 48
# Chunks of each half of a memory, some 7 MB: more than nine in ten chunks of running English text.
_MOST_KEPT = 1 << 15
# Texts up to this many characters are split in one go; longer ones lazily, up to the length asked for.
SHORT_TEXT = 1000


V = TypeVar("V")


class Memo(dict[str, V]):
    """Remembers what a function said of short strings.

    When it is full, what it holds becomes the older half of the memory, and the half before that is
    forgotten; what is asked for again moves back to the younger half, so the frequent strings stay.
    """

    def __init__(self, compute: Callable[[str], V]) -> None:
        super().__init__()
        self._compute = compute
        self._before: dict[str, V] = {}

    def __missing__(self, key: str) -> V:
        value = self._before.get(key)
        if value is None:
            value = self._compute(key)
        if len(key) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self._before = dict(self)
                self.clear()
            self[key] = value
        return value


@dataclass(frozen=True)
class Frame:
    """What surrounds the ids of a text, as bytes of int32.

    Attributes:
        before, after: of a text, or of a pair.
        empty: stands for a text without any id.
        between: of the two texts of a pair; where it is empty, `SEPARATOR` is white space like any other.
    """

    before: bytes = b""
    after: bytes = b""
    empty: bytes = b""
    between: bytes = b""


def check_vocabulary(where: str, content: bytes) -> None:
    """Raises BundleError where the file of a vocabulary, which `where` names, is larger than any."""
    if len(content) > LARGEST_VOCABULARY:
        raise BundleError(
            f"{where} has {len(content):,} bytes, and a vocabulary has {LARGEST_VOCABULARY:,} at most. Export it again."
        )


def pack(ids: Sequence[int]) -> bytes:
    """Ids as the bytes of int32, the form in which chunks are remembered."""
    return np.asarray(ids, np.int32).tobytes()


def numbered(entries: Sequence[str], first: int) -> dict[str, bytes]:
    """The packed id of each entry, counted from `first`; of one that comes twice the last."""
    packed = np.arange(first, first + len(entries), dtype=np.int32).tobytes()
    return dict(zip(entries, [packed[at : at + 4] for at in range(0, len(packed), 4)], strict=True))


def chunks(text: str, pattern: re.Pattern[str]) -> Iterator[str]:
    """The matches of `pattern`, one by one, so that reading can stop early in a text of megabytes."""
    return (match.group() for match in pattern.finditer(text))


def encode_chunks(
    texts: Sequence[str], memo: Memo[bytes], pattern: re.Pattern[str], frame: Frame, max_length: int
) -> Tokens:
    """Encodes texts of which every chunk between white space can be read by itself.

    Remembered chunks are bytes, so that a text is one `join` and the batch is one more: nothing here runs per
    word in the interpreter, which makes it several times faster than lists of ints.

    Args:
        texts: n of them.
        memo: chunk to the bytes of its ids.
        pattern: finds the chunks of a long text; for short ones `str.split` does the same, faster.
        frame: what comes around.
        max_length: most ids of a text, the frame's included.
    """
    special = (len(frame.before) + len(frame.after)) // 4
    check_length(max_length, special)
    room = (max_length - special) * 4
    lookup, join = memo.__getitem__, b"".join
    separator = SEPARATOR if frame.between else None
    rows: list[bytes] = []
    truncated = np.zeros(len(texts), bool)
    for index, text in enumerate(texts):
        if separator is not None and separator in text:
            row, truncated[index] = _pair(text, memo, pattern, frame, max_length)
            rows.append(row)
            continue
        row = join(map(lookup, text.split())) if len(text) <= SHORT_TEXT else _long(text, memo, pattern, room)
        if len(row) > room:
            row = row[:room]
            truncated[index] = True
        rows.append(row or frame.empty)
    if frame.before or frame.after:
        rows = [frame.before + row + frame.after for row in rows]
    lengths = np.fromiter(map(len, rows), np.int64, len(rows)) // 4
    return Tokens(np.frombuffer(join(rows), np.int32), _offsets(lengths), truncated)


def check_length(max_length: int, special: int) -> None:
    """Raises InputError where `max_length` leaves no room for a text beside the special ids."""
    if max_length <= special:
        raise InputError(
            f"max_length is {max_length}, but a text needs {special} special ids and one of its own. "
            "Choose a larger one."
        )


def check_length_of_pair(max_length: int, special: int) -> None:
    """Raises InputError where `max_length` leaves no room for two texts beside the special ids."""
    if max_length < special + 2:
        raise InputError(
            f"max_length is {max_length}, but a pair of texts needs {special} special ids and one of each text. "
            "Choose a larger one."
        )


def longest_first(first: int, second: int, room: int) -> tuple[int, int]:
    """How many ids of each text of a pair are kept where there is room for so many of both together.

    The longer text is cut first; where both are longer than half of the room, each keeps half, and the odd one goes to
    the longer text, the second of two equals. That is what the library `tokenizers` calls `longest_first`.
    """
    if first + second <= room:
        return first, second
    shorter = min(first, second, room // 2)
    return (shorter, room - shorter) if first <= second else (room - shorter, shorter)


def _pair(
    text: str, memo: Memo[bytes], pattern: re.Pattern[str], frame: Frame, max_length: int
) -> tuple[bytes, bool]:
    """The ids of a pair without what is around them, and whether either text was cut."""
    special = (len(frame.before) + len(frame.between) + len(frame.after)) // 4
    check_length_of_pair(max_length, special)
    room = (max_length - special) * 4

    def read(most: int) -> list[bytes]:
        return [_read(part, memo, pattern, most) or frame.empty for part in parts(text)]

    found = read(room)
    if min(map(len, found)) > room:
        found = read(sys.maxsize)  # which of the two is longer decides about the odd id
    lengths = [len(part) // 4 for part in found]
    kept = longest_first(lengths[0], lengths[1], room // 4)
    row = frame.between.join(part[: 4 * count] for part, count in zip(found, kept, strict=True))
    return row, kept != tuple(lengths)


def _read(text: str, memo: Memo[bytes], pattern: re.Pattern[str], room: int) -> bytes:
    """All ids of a short text; of a long one only so many chunks that there are more bytes than `room`."""
    if len(text) <= SHORT_TEXT:
        return b"".join(map(memo.__getitem__, text.split()))
    return _long(text, memo, pattern, room)


def _long(text: str, memo: Memo[bytes], pattern: re.Pattern[str], room: int) -> bytes:
    row = bytearray()
    for chunk in chunks(text, pattern):
        row += memo[chunk]
        if len(row) > room:
            break
    return bytes(row)


def from_lists(ids: Sequence[Sequence[int]], truncated: Sequence[bool]) -> Tokens:
    """Tokens from one sequence of ids a text."""
    lengths = np.fromiter(map(len, ids), np.int64, len(ids))
    flat = np.fromiter((value for row in ids for value in row), np.int32, int(lengths.sum()))
    return Tokens(flat, _offsets(lengths), np.asarray(truncated, bool))


def _offsets(lengths: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
