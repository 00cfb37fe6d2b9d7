"""Which texts are versions of each other: the groups that a cut must not part, and the texts that leak.

Two texts overlap when, after normalisation (NFKC, case folded, words only),

- they are equal, or
- they share 8 words in a row, or
- one of them is shorter than 8 words, and they share 5 words in a row, or
- one of them has 3 or 4 words, and the other holds it whole.

So a text that contains another one of at least 3 words overlaps it, whatever their lengths. Words in a row that
occur in more than max(20, 0.5%) of the texts are boilerplate (a signature, "i would like to know"): they link
nothing. Equal texts overlap however frequent they are.

The groups of a cut leave out the last rule: a phrase of three words stands in a hundred unrelated texts, and would
weld a corpus into one group. `split` drops such texts after the cut instead, with `Index.overlaps`.

Words and runs of words are compared by 64-bit hashes that do not depend on the process: among ten million
distinct runs, the chance of any collision is about 3 in a million.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Ints = NDArray[np.int64]
Keys = NDArray[np.uint64]
Mask = NDArray[np.bool_]
_Number = TypeVar("_Number", np.int64, np.uint64)

LONG, SHORT, LEAST = (
    8,
    5,
    3,
)  # words in a row that link: long texts, short ones; words of the shortest text contained
BOILERPLATE_TEXTS, BOILERPLATE_SHARE = 20, 0.005

# There are no spaces to tell Chinese and Japanese words by: each of their characters is a word of its own.
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
_BASE = np.uint64(0x9E3779B97F4A7C15)
_BLOCK = 1 << 22  # words that are hashed at once
_PART = 1 << 24  # runs that are sorted at once: with these two, memory beside the words stays below 1.5 GB


def normalise(text: str) -> list[str]:
    """The words of a text for comparison; a text without any (`"!!!"`, an emoji) is one word as it stands."""
    folded = (text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold()
    return _WORD.findall(folded) or ["".join(folded.split())]


@dataclass(frozen=True)
class Words:
    """n texts as flat word hashes.

    Attributes:
        hashes: uint64 [total words].
        offsets: int64 [n + 1]; text i is `hashes[offsets[i]:offsets[i + 1]]`, at least one word.
    """

    hashes: Keys
    offsets: Ints

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Ints:
        """Words of each text, int64 [n]."""
        return np.diff(self.offsets)

    @cached_property
    def whole(self) -> Keys:
        """One key per text, uint64 [n]: equal for texts that are equal after normalisation."""
        powers = _powers(int(self.lengths.max(initial=0)))
        keys = np.empty(len(self), np.uint64)
        for first, last in _blocks(self):
            start, end = self.offsets[first], self.offsets[last]
            begins = self.offsets[first:last] - start
            place = np.arange(end - start) - np.repeat(begins, self.lengths[first:last])
            keys[first:last] = np.add.reduceat(self.hashes[start:end] * powers[place], begins)
        return mix(keys)

    def take(self, rows: Ints) -> Words:
        """The texts of some rows, int64 [m], in that order."""
        lengths = self.lengths[rows]
        offsets = _offsets(lengths)
        shift = np.repeat(self.offsets[rows] - offsets[:-1], lengths)
        return Words(self.hashes[np.arange(offsets[-1]) + shift], offsets)


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
    """Texts as word hashes."""
    flat = array("Q")
    lengths = array("q")
    for text in texts:
        found = normalise(text)
        lengths.append(len(found))
        flat.extend(map(_hash.__getitem__, found))
    return Words(np.frombuffer(flat, np.uint64), _offsets(np.frombuffer(lengths, np.int64)))


def join(parts: Sequence[Words]) -> Words:
    """The texts of all parts, one after the other."""
    lengths = np.concatenate([part.lengths for part in parts])
    return Words(np.concatenate([part.hashes for part in parts]), _offsets(lengths))


def components(texts: Words) -> Ints:
    """The group of each text, int64 [n], numbered from 0: linked texts, links of links, and so on.

    Links are the first three rules of this module.
    """
    limit = _boilerplate(len(texts))
    links = [_links(texts.whole, np.arange(len(texts)), len(texts), limit=len(texts))]
    links += [_links(*runs, len(texts), limit) for runs in _parts(texts, LONG, None)]
    short = KeySet(_runs_of(texts, SHORT, texts.lengths < LONG))
    links += [_links(*runs, len(texts), limit) for runs in _parts(texts, SHORT, short)]
    first, second = np.divmod(np.concatenate(links), len(texts))
    graph = coo_array((np.ones(len(first), np.bool_), (first, second)), shape=(len(texts), len(texts)))
    group_of: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return group_of


class Index:
    """The texts of held-out splits, ready to say which other texts overlap them.

    Args:
        against: the held-out texts.
        corpus: texts that help to tell boilerplate, beside the held-out ones.
    """

    def __init__(self, against: Words, corpus: Words | None = None) -> None:
        self._equal = KeySet(against.whole)
        counted = against if corpus is None else join([against, corpus])
        exactly = {n: against.lengths == n for n in range(LEAST, SHORT)}
        short = against.lengths < LONG
        # The runs that no text may hold, and those that a short text may not hold, or be.
        self._of_any = {
            LONG: _rare(_runs_of(against, LONG, None), LONG, counted),
            SHORT: _rare(_runs_of(against, SHORT, short), SHORT, counted),
            **{n: _rare(_runs_of(against, n, exactly[n]), n, counted) for n in exactly},
        }
        self._of_short = {n: _rare(_runs_of(against, n, None), n, counted) for n in (SHORT, *exactly)}

    def overlaps(self, texts: Words) -> Mask:
        """Which texts overlap a held-out one, by any of the module's rules: bool [n]."""
        found = self._equal.hold(texts.whole)
        for n, keys in self._of_any.items():
            for runs, rows in _windows(texts, n):
                found[rows[keys.hold(runs)]] = True
        for n, keys in self._of_short.items():
            least, most = (n, LONG - 1) if n == SHORT else (n, n)
            some = np.flatnonzero((texts.lengths >= least) & (texts.lengths <= most))
            for runs, rows in _windows(texts.take(some), n):
                found[some[rows[keys.hold(runs)]]] = True
        return found


def overlap(texts: Sequence[str], against: Sequence[str]) -> Mask:
    """Which of `texts` overlap any of `against`, by the rules of this module: bool [len(texts)]."""
    ours = words(texts)
    return Index(words(against), ours).overlaps(ours)


def _boilerplate(texts: int) -> int:
    return max(BOILERPLATE_TEXTS, int(texts * BOILERPLATE_SHARE))


class KeySet:
    """A set of keys that is asked about millions of others, nearly all of which are not in it."""

    def __init__(self, keys: Keys) -> None:
        self.sorted = _distinct(keys)
        # Most questions are answered by the leading bits of a key, from a table that a processor's cache can hold.
        self._shift = np.uint64(64 - max(8, 4 + len(self.sorted).bit_length()))
        self._table = np.zeros(1 << (64 - int(self._shift)), np.bool_)
        self._table[self.sorted >> self._shift] = True

    def places(self, keys: Keys) -> tuple[Ints, Ints]:
        """Which of `keys` are in the set, and where in `sorted`."""
        maybe = np.flatnonzero(self._table[keys >> self._shift])
        if not len(maybe):
            return maybe, maybe
        at = np.minimum(np.searchsorted(self.sorted, keys[maybe]), len(self.sorted) - 1)
        sure = self.sorted[at] == keys[maybe]
        return maybe[sure], at[sure]

    def hold(self, keys: Keys) -> Mask:
        """Which of `keys` are in the set."""
        found = np.zeros(len(keys), np.bool_)
        found[self.places(keys)[0]] = True
        return found


def _rare(keys: Keys, n: int, corpus: Words) -> KeySet:
    """Keys of n-word runs without those that stand in too many texts of a corpus."""
    known = KeySet(keys)
    texts_with = np.zeros(len(known.sorted), np.int64)
    for runs, rows in _windows(corpus, n):
        hit, at = known.places(runs)
        # A run that stands twice in a text counts once.
        pairs = _distinct(at * len(corpus) + rows[hit])
        texts_with += np.bincount(pairs // len(corpus), minlength=len(known.sorted))
    return KeySet(known.sorted[texts_with <= _boilerplate(len(corpus))])


def _links(keys: Keys, rows: Ints, texts: int, limit: int) -> Ints:
    """Neighbours among the texts that hold the same key, for keys of at most `limit` texts.

    Returns:
        Each pair once, as first row times `texts` plus second row, int64.
    """
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    again = np.zeros(len(keys), np.bool_)
    again[1:] = (keys[1:] == keys[:-1]) & (rows[1:] == rows[:-1])
    keys, rows = keys[~again], rows[~again]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.zeros(0, np.int64)
    sizes = np.diff(np.r_[starts, len(keys)])
    linking = np.repeat(sizes <= limit, sizes)
    same = np.flatnonzero(linking[1:] & (keys[1:] == keys[:-1]))
    return _distinct(rows[same] * texts + rows[same + 1])


def _parts(texts: Words, n: int, only: KeySet | None) -> Iterator[tuple[Keys, Ints]]:
    """All n-word runs with their texts, in parts by key that can each be sorted in memory."""
    total = int(np.maximum(texts.lengths - n + 1, 0).sum())
    parts = -(-total // _PART)
    for part in range(parts):
        keys, rows = [], []
        for runs, of in _windows(texts, n):
            some = (runs >> np.uint64(32)) * np.uint64(parts) >> np.uint64(32) == np.uint64(part)
            if only is not None:
                some &= only.hold(runs)
            keys.append(runs[some])
            rows.append(of[some])
        if keys:
            yield np.concatenate(keys), np.concatenate(rows)


def _runs_of(texts: Words, n: int, some: Mask | None) -> Keys:
    """The keys of all n-word runs of some texts."""
    chosen = texts if some is None else texts.take(np.flatnonzero(some))
    return np.concatenate([np.zeros(0, np.uint64), *(runs for runs, _ in _windows(chosen, n))])


def _windows(texts: Words, n: int) -> Iterator[tuple[Keys, Ints]]:
    """Keys of the n-word runs of all texts, and the row of the text of each, in blocks."""
    for first, last in _blocks(texts):
        flat = texts.hashes[texts.offsets[first] : texts.offsets[last]]
        if len(flat) < n:
            continue
        lengths = texts.lengths[first:last]
        runs = np.zeros(len(flat) - n + 1, np.uint64)
        for place in range(n):
            runs = runs * _BASE + flat[place : place + len(runs)]
        ends = np.repeat(texts.offsets[first + 1 : last + 1] - texts.offsets[first], lengths)[: len(runs)]
        inside = np.arange(len(runs)) + n <= ends
        rows = np.repeat(np.arange(first, last), lengths)[: len(runs)]
        yield mix(runs[inside]), rows[inside]


def _blocks(texts: Words) -> Iterator[tuple[int, int]]:
    """Ranges of texts, each of about `_BLOCK` words or one text."""
    first = 0
    while first < len(texts):
        reach = int(np.searchsorted(texts.offsets, texts.offsets[first] + _BLOCK, side="right")) - 1
        last = min(max(reach, first + 1), len(texts))
        yield first, last
        first = last


def _distinct(values: NDArray[_Number]) -> NDArray[_Number]:
    """Sorted, each once. Several times as fast as `np.unique`, which hashes integers since numpy 2.3."""
    values = np.sort(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


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
