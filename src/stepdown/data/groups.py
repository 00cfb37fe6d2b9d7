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

Pairs of texts overlap when they are equal, or when a text of one and a text of the other, whichever their sides, do
so by the rules about words in a row: who has learnt what was said of (a, b) knows something of (b, a) and of (a, c).
But a text that is there in more pairs than boilerplate may be (one premise with a thousand hypotheses, a question that
is asked of every text) links nothing. Of some corpora this still makes one large group; then `held_out` asks for less:
`sharing_a_text`.

Words and runs of words are compared by 64-bit hashes that do not depend on the process: among ten million
distinct runs, the chance of any collision is about 3 in a million.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stepdown.data.hashing import Ints, Keys, Words, join, mix, windows, words

Mask = NDArray[np.bool_]
_Number = TypeVar("_Number", np.int64, np.uint64)

LONG, SHORT, LEAST = (
    8,
    5,
    3,
)  # words in a row that link: long texts, short ones; words of the shortest text contained
BOILERPLATE_TEXTS, BOILERPLATE_SHARE = 20, 0.005

_PART = 1 << 24  # runs that are sorted at once: memory beside the words stays below 1.5 GB


def components(texts: Words) -> Ints:
    """The group of each text, int64 [n], numbered from 0: linked texts, links of links, and so on.

    Links are the first three rules of this module.
    """
    limit = _boilerplate(len(texts))
    links = [_equal(texts)]
    if texts.sides == 2:
        links.append(_same_text(texts))
    links += [_links(*runs, len(texts), limit) for runs in _parts(texts, LONG, None)]
    short = KeySet(_runs_of(texts, SHORT, texts.part_lengths < LONG))
    links += [_links(*runs, len(texts), limit) for runs in _parts(texts, SHORT, short)]
    return _connected(links, len(texts))


def sharing_a_text(pairs: Words) -> Ints:
    """The group of each pair, int64 [n]: equal ones, those that have a text of at least 3 words in common, on either
    side and in no more pairs than boilerplate is, links of links, and so on.
    """
    return _connected([_equal(pairs), _same_text(pairs)], len(pairs))


def equal(texts: Words) -> Ints:
    """The group of each row, int64 [n]: those that are equal after normalisation; of pairs in either order."""
    keys = np.sort(texts.part_keys, axis=1)
    group_of: Ints = np.unique(mix(keys[:, 0]) + keys[:, -1], return_inverse=True)[1].astype(np.int64)
    return group_of


def _equal(texts: Words) -> Ints:
    return _links(texts.whole, np.arange(len(texts)), len(texts), limit=len(texts))


def _same_text(pairs: Words) -> Ints:
    """Links between pairs with a text in common."""
    rows = np.arange(len(pairs)).repeat(2)
    long = pairs.part_lengths >= LEAST
    return _links(pairs.part_keys.ravel()[long], rows[long], len(pairs), _boilerplate(len(pairs)))


def _connected(links: Sequence[Ints], texts: int) -> Ints:
    """The connected components of some links, as `_links` gives them."""
    first, second = np.divmod(np.concatenate(links), texts)
    graph = coo_array((np.ones(len(first), np.bool_), (first, second)), shape=(texts, texts))
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
        exactly = {n: against.part_lengths == n for n in range(LEAST, SHORT)}
        short = against.part_lengths < LONG
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
            for runs, rows in windows(texts, n):
                found[rows[keys.hold(runs)]] = True
        for n, keys in self._of_short.items():
            least, most = (n, LONG - 1) if n == SHORT else (n, n)
            some = np.flatnonzero((texts.part_lengths >= least) & (texts.part_lengths <= most))
            for runs, parts in windows(texts.parts.take(some), n):
                found[some[parts[keys.hold(runs)]] // texts.sides] = True
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
    for runs, rows in windows(corpus, n):
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
    total = int(np.maximum(texts.part_lengths - n + 1, 0).sum())
    parts = -(-total // _PART)
    for part in range(parts):
        keys, rows = [], []
        for runs, of in windows(texts, n):
            some = (runs >> np.uint64(32)) * np.uint64(parts) >> np.uint64(32) == np.uint64(part)
            if only is not None:
                some &= only.hold(runs)
            keys.append(runs[some])
            rows.append(of[some])
        if keys:
            yield np.concatenate(keys), np.concatenate(rows)


def _runs_of(texts: Words, n: int, some: Mask | None) -> Keys:
    """The keys of all n-word runs of some parts, bool [parts]."""
    chosen = texts.parts if some is None else texts.parts.take(np.flatnonzero(some))
    return np.concatenate([np.zeros(0, np.uint64), *(runs for runs, _ in windows(chosen, n))])


def _distinct(values: NDArray[_Number]) -> NDArray[_Number]:
    """Sorted, each once. Several times as fast as `np.unique`, which hashes integers since numpy 2.3."""
    values = np.sort(values)
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values
