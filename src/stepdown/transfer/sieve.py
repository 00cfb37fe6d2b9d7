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
# Heaps on disk, by the leading bits of a text's rank. One of them at a time is read into memory and sorted.
_HEAP_BITS = 6


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
        self._heaps: dict[int, store.Scratch] = {}
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
        heaps = ranks >> np.uint64(64 - _HEAP_BITS)
        source = len(self._sources) - 1
        for heap in np.unique(heaps).tolist():
            some = heaps == heap
            entry = source, ranks[some].tolist(), [block[row] for row in rows[some].tolist()]
            if heap not in self._heaps:
                self._heaps[heap] = store.Scratch()
            self._heaps[heap].add(json.dumps(entry).encode() + b"\n")

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
        for heap in sorted(self._heaps):
            ranks, sources, texts = _read(self._heaps.pop(heap))
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


def _read(heap: store.Scratch) -> tuple[Keys, list[int], list[str]]:
    """Rank, source and text of everything on a heap, in the order in which it came."""
    ranks: list[int] = []
    sources: list[int] = []
    texts: list[str] = []
    heap.file.seek(0)
    for line in heap.file:
        source, some, block = json.loads(line)
        ranks += some
        sources += [source] * len(block)
        texts += block
    return np.array(ranks, np.uint64), sources, texts


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
