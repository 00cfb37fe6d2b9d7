"""The texts of a pretraining: read once each, some held out, none that overlaps what is to be tested on later."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice
from typing import Any

import numpy as np

from stepdown.data import choose, columns, groups, hashing, read
from stepdown.errors import DataError
from stepdown.recipe.pretraining import TextSpec
from stepdown.transfer import Pool, Sieve, SourceFacts, cut, texts_of

# Of a million texts a hundredth would take longer to measure on than to learn from.
_MOST_HELD_OUT = 2000
_FEWEST = 10
# Texts that tell boilerplate from what two texts have in common.
_BOILERPLATE_OF = 20_000


@dataclass(frozen=True)
class CorpusFacts:
    """What became of the texts, in counts.

    Attributes:
        sources: what each gave; "overlapping" are texts that share words with one of `keep_out`.
        kept_out: texts of `keep_out`.
        train: texts that are learnt from.
        held_out: texts that are only measured on.
        overlapping: left out because they share words with a held-out text.
    """

    sources: tuple[SourceFacts, ...]
    kept_out: int
    train: int
    held_out: int
    overlapping: int

    def as_dict(self) -> dict[str, Any]:
        """As plain dicts and lists that JSON can hold."""
        return asdict(self)

    def as_text(self) -> str:
        """For a person at a terminal."""
        less = f"; {self.overlapping:,} left out that overlap these" if self.overlapping else ""
        lines = [f"Text: {self.train:,} texts to learn from, {self.held_out:,} held out{less}"]
        return "\n".join([*lines, *(f"  - {source.as_text()}" for source in self.sources)])


@dataclass(frozen=True)
class Corpus:
    """The texts of a pretraining.

    Attributes:
        train: on disk, in random order.
        held_out: never learnt from.
        facts: what they are made of.
    """

    train: Pool
    held_out: list[str]
    facts: CorpusFacts


def gather(spec: TextSpec, validation_fraction: float, seed: int) -> Corpus:
    """Read all texts; each is kept once, by the rules of `transfer.Sieve`, and overlaps go by those of `data.groups`.

    Args:
        spec: the sources, and what must not be read.
        validation_fraction: share of the texts that is held out, at most 2,000 of them.
        seed: of the order, and so of which texts are held out.

    Raises:
        DataError: a source cannot be read, its text column cannot be told, or there are too few texts.
        HubError: a hub or package index did not deliver.
        StoreError: the disk of the cache, where the texts wait, is full or fails.
    """
    forbidden = hashing.words(chain.from_iterable(map(_tested_on, spec.keep_out)))
    nothing = np.zeros(0, np.uint64)
    sieve = Sieve(groups.Index(forbidden), nothing, seed)
    for source in spec.unlabeled:
        sieve.pour(source, texts_of(source, spec.text), split=spec.split_sentences, limited=True)
    pool, sources = sieve.pool(spec.max_texts)
    if len(pool) < _FEWEST:
        told = "\n".join(f"  - {source.as_text()}" for source in sources)
        raise DataError(
            f"[text] gives {len(pool):,} texts, too few to learn from some and measure on others; expected at least "
            f"{_FEWEST}. Name more under unlabeled.\n{told}"
        )
    count = min(_MOST_HELD_OUT, max(1, round(validation_fraction * len(pool))))
    held_out = list(islice(pool, count))
    train = Pool(_without(pool, held_out))
    if not len(train):
        raise DataError(
            f"[text] every text shares words with one of the {count:,} that are held out: they are versions of one "
            "text. Name other text under unlabeled."
        )
    overlapping = len(pool) - count - len(train)
    return Corpus(train, held_out, CorpusFacts(sources, len(forbidden), len(train), count, overlapping))


def _without(pool: Pool, held_out: list[str]) -> Iterator[str]:
    """The texts of a pool after the held-out ones, its first, that overlap none of them."""
    some = hashing.words(islice(pool, len(held_out), len(held_out) + _BOILERPLATE_OF))
    index = groups.Index(hashing.words(held_out), some)
    for texts in cut(islice(pool, len(held_out), None)):
        overlapping = index.overlaps(hashing.words(texts))
        yield from (text for text, drop in zip(texts, overlapping.tolist(), strict=True) if not drop)


def _tested_on(source: str) -> Iterator[str]:
    """The validation and test texts of a source; all of one that has neither."""
    tables = read.open_source(source).tables
    splits = [split for split in tables if split != "train"] or ["train"]
    for split in splits:
        for block in columns.only_texts(tables[split], choose.guess_text(tables[split])):
            yield from block
