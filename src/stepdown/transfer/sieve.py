"""Takes texts in, keeps each once, and drops what overlaps held-out texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from stepdown.data import groups
from stepdown.data.groups import Index
from stepdown.tokens.sentences import sentences
from stepdown.transfer.facts import SourceFacts

# Words of a sentence that is kept: shorter ones say too little, longer ones are lists and failed cuts.
SHORTEST, LONGEST = 3, 60


class Sieve:
    """Takes texts in, keeps each once, drops what overlaps held-out texts, and counts.

    Of more than `most` texts a random sample is kept: those whose hashes, stirred by the seed, are smallest. So the
    sample depends on the texts alone, and memory is bounded by the sample, not by what is poured in.

    Args:
        index: of the held-out texts.
        seen: keys of texts that are there already; grows.
        most: texts that are kept in all.
        seed: of the sample.
    """

    def __init__(self, index: Index, seen: set[int], most: int | None = None, seed: int = 0) -> None:
        self._index, self._seen, self._most = index, seen, most
        self._salt = groups.mix(np.array([seed], np.uint64))
        self._texts: list[str] = []
        self._ranks = np.zeros(0, np.uint64)
        self._sources = np.zeros(0, np.int64)
        self._counts: list[tuple[str, Counter[str]]] = []

    def pour(self, source: str, blocks: Iterable[list[str]], split: bool = False) -> None:
        """Take in the texts of a source, cut into sentences if `split`."""
        counts: Counter[str] = Counter()
        self._counts.append((source, counts))
        for block in blocks:
            counts["texts"] += len(block)
            if split:
                cut = [sentence for text in block for sentence in sentences(text)]
                block = [sentence for sentence in cut if SHORTEST <= len(sentence.split()) <= LONGEST]
                counts["sentences"] += len(cut)
                counts["length"] += len(cut) - len(block)
            self._take(block, counts)

    def _take(self, block: list[str], counts: Counter[str]) -> None:
        words = groups.words(block)
        overlapping = self._index.overlaps(words)
        chosen = []
        for row, key in enumerate(words.whole.tolist()):
            if key in self._seen:
                counts["repeated"] += 1
            elif overlapping[row]:
                counts["overlapping"] += 1
            else:
                self._seen.add(key)
                chosen.append(row)
        self._texts += [block[row] for row in chosen]
        self._ranks = np.concatenate([self._ranks, groups.mix(words.whole[chosen] ^ self._salt)])
        self._sources = np.concatenate([self._sources, np.full(len(chosen), len(self._counts) - 1)])
        if self._most is not None and len(self._texts) > 2 * self._most:
            self._thin(self._most)

    def _thin(self, most: int) -> None:
        """Keep the texts of the lowest ranks, in the order in which they came."""
        if len(self._texts) <= most:
            return
        rows = np.sort(np.argpartition(self._ranks, most - 1)[:most])
        self._texts = [self._texts[row] for row in rows.tolist()]
        self._ranks, self._sources = self._ranks[rows], self._sources[rows]

    def texts(self) -> list[str]:
        """What is kept of everything so far."""
        if self._most is not None:
            self._thin(self._most)
        return self._texts

    def facts(self) -> tuple[SourceFacts, ...]:
        """What became of each source's texts."""
        self.texts()
        kept = np.bincount(self._sources, minlength=len(self._counts)).tolist()
        return tuple(
            _facts(source, counts, count) for (source, counts), count in zip(self._counts, kept, strict=True)
        )


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
