"""Takes texts in, keeps each once, and drops what overlaps held-out texts, in memory that does not grow with them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from stepdown import store
from stepdown.data import hashing
from stepdown.data.groups import Index, KeySet
from stepdown.data.hashing import Keys
from stepdown.tokens.sentences import sentences
from stepdown.transfer.facts import SourceFacts
from stepdown.transfer.pool import Pool

# Words of a sentence that is kept: shorter ones say too little, longer ones are lists and failed cuts.
SHORTEST, LONGEST = 3, 60
# Texts are spread over heaps on disk by so many bits of their rank, few enough for the files that a process may open.
# One heap at a time is read into memory and sorted; one of more texts than that is spread by the next bits first.
_HEAP_BITS, _RANK_BITS = 6, 64
_MOST_TEXTS = 65_536


class Sieve:
    """Takes texts in, keeps each once, drops what overlaps held-out texts, and counts.

    A text's rank is its hash, stirred by the seed. Texts go to heaps on disk by rank; a heap holds all copies of its
    texts, so repeats are found heap by heap, and sorted heap by heap they stand in one random order that depends on
    the texts alone. A limit keeps those of the lowest ranks: so what a smaller limit keeps comes first under a larger
    one, in the same order, and is not labelled again.

    Args:
        index: of the held-out texts.
        taken: keys of texts that are there already.
        seed: of the order.
    """

    def __init__(self, index: Index, taken: Keys, seed: int = 0) -> None:
        self._index, self._taken = index, KeySet(taken)
        self._salt = hashing.mix(np.array([seed], np.uint64))
        self._heaps = _Heaps(_HEAP_BITS)
        self._sources: list[tuple[str, bool, Counter[str]]] = []

    def pour(
        self, source: str, blocks: Iterable[list[str]], *, split: bool = False, limited: bool = False
    ) -> None:
        """Take in the texts of a source.

        Args:
            source: its name.
            blocks: its texts.
            split: cut them into sentences.
            limited: whether the limit of `pool` is for them.
        """
        counts: Counter[str] = Counter()
        self._sources.append((source, limited, counts))
        for block in blocks:
            counts["texts"] += len(block)
            if split:
                whole = [sentence for text in block for sentence in sentences(text)]
                block = [sentence for sentence in whole if SHORTEST <= len(sentence.split()) <= LONGEST]
                counts["sentences"] += len(whole)
                counts["length"] += len(whole) - len(block)
            self._take(block, counts)

    def _take(self, block: list[str], counts: Counter[str]) -> None:
        words = hashing.words(block)
        known = self._taken.hold(words.whole)
        overlapping = self._index.overlaps(words) & ~known
        counts["repeated"] += int(known.sum())
        counts["overlapping"] += int(overlapping.sum())
        rows = np.flatnonzero(~known & ~overlapping)
        ranks = hashing.mix(words.whole[rows] ^ self._salt)
        self._heaps.add(len(self._sources) - 1, ranks, [block[row] for row in rows.tolist()])

    def pool(self, most: int | None = None) -> tuple[Pool, tuple[SourceFacts, ...]]:
        """What is kept of everything, and what became of each source's texts. The sieve is empty afterwards.

        Args:
            most: texts of limited sources that are kept in all.

        Raises:
            StoreError: the disk fails.
        """
        kept: Counter[int] = Counter()
        pool = Pool(self._kept(most, kept))
        facts = [_facts(name, counts, kept[at]) for at, (name, _, counts) in enumerate(self._sources)]
        return pool, tuple(facts)

    def _kept(self, most: int | None, kept: Counter[int]) -> Iterator[str]:
        room = most
        for ranks, sources, texts in self._heaps.by_rank():
            # Stable, so that of equal texts the one that was poured first comes first.
            order = np.argsort(ranks, kind="stable")
            again = np.zeros(len(order), np.bool_)
            again[1:] = ranks[order][1:] == ranks[order][:-1]
            for row, repeated in zip(order.tolist(), again.tolist(), strict=True):
                source = sources[row]
                _, limited, counts = self._sources[source]
                if repeated:
                    counts["repeated"] += 1
                    continue
                if limited and room is not None:
                    if room == 0:
                        continue
                    room -= 1
                kept[source] += 1
                yield texts[row]


class _Heaps:
    """Texts on disk, spread over heaps by their ranks.

    Args:
        bits: of a rank, from the leading one on, that are the same for all texts of a heap.
    """

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._heaps: dict[int, store.Scratch] = {}
        self._texts: Counter[int] = Counter()

    def add(self, source: int, ranks: Keys, texts: list[str]) -> None:
        """Add texts of a source, each with its rank."""
        heaps = ranks >> np.uint64(_RANK_BITS - self._bits)
        for heap in np.unique(heaps).tolist():
            rows = np.flatnonzero(heaps == heap)
            entry = source, ranks[rows].tolist(), [texts[row] for row in rows.tolist()]
            if heap not in self._heaps:
                self._heaps[heap] = store.Scratch()
            self._heaps[heap].add(json.dumps(entry).encode() + b"\n")
            self._texts[heap] += len(rows)

    def by_rank(self) -> Iterator[tuple[Keys, list[int], list[str]]]:
        """Heap by heap, those of lower ranks first: rank, source and text of each, as they came. Leaves none behind."""
        for heap in sorted(self._heaps):
            entries = _entries(self._heaps.pop(heap))
            if self._texts.pop(heap) > _MOST_TEXTS and self._bits + _HEAP_BITS <= _RANK_BITS:
                smaller = _Heaps(self._bits + _HEAP_BITS)
                for source, some, block in entries:
                    smaller.add(source, np.array(some, np.uint64), block)
                yield from smaller.by_rank()
                continue
            ranks: list[int] = []
            sources: list[int] = []
            texts: list[str] = []
            for source, some, block in entries:
                ranks += some
                sources += [source] * len(block)
                texts += block
            yield np.array(ranks, np.uint64), sources, texts


def _entries(heap: store.Scratch) -> Iterator[tuple[int, list[int], list[str]]]:
    """What was added to a heap: a source, and ranks and texts of some of its texts."""
    heap.file.seek(0)
    for line in heap.file:
        source, ranks, texts = json.loads(line)
        yield source, ranks, texts


def _facts(source: str, counts: Counter[str], kept: int) -> SourceFacts:
    whole = counts["sentences"] or counts["texts"]
    out = counts["length"] + counts["repeated"] + counts["overlapping"]
    return SourceFacts(
        source,
        texts=counts["texts"],
        sentences=counts["sentences"],
        length=counts["length"],
        repeated=counts["repeated"],
        overlapping=counts["overlapping"],
        not_drawn=whole - out - kept,
        kept=kept,
    )
