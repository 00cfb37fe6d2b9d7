"""Gathers the transfer set of a data set: labelled texts, their views, and texts without labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from stepdown import store
from stepdown.data import Dataset, SoftLabels, choose, columns, hashing, read
from stepdown.data.groups import Index
from stepdown.data.table import Table, listing
from stepdown.errors import DataError
from stepdown.recipe import TransferSpec
from stepdown.transfer.facts import TransferFacts
from stepdown.transfer.near import Meaning
from stepdown.transfer.pairs import views_of_pairs
from stepdown.transfer.pool import Pool, cut
from stepdown.transfer.sieve import Sieve
from stepdown.transfer.views import views


@dataclass(frozen=True)
class Transfer:
    """The transfer set: the texts of train in memory, all others on disk.

    Attributes:
        texts: of train; a text that train has with two labels is there twice.
        labels: int64, of these; −1 throughout where no text of train has a label.
        pool: all other texts.
        facts: what it is made of.
    """

    texts: list[str]
    labels: NDArray[np.int64]
    pool: Pool
    facts: TransferFacts

    def __len__(self) -> int:
        return len(self.texts) + len(self.pool)

    def __iter__(self) -> Iterator[str]:
        yield from self.texts
        yield from self.pool

    @cached_property
    def key(self) -> str:
        """Digest of all texts and labels."""
        return store.digest(*self.texts, self.labels, *self.pool.digests)

    def sample(self, count: int) -> list[str]:
        """About `count` texts that stand for all of them, always the same ones, in random order."""
        share = len(self.texts) / max(1, len(self))
        draw = np.random.default_rng(0)
        rows = draw.permutation(len(self.texts))[: round(share * count)]
        some = [self.texts[row] for row in rows]
        some += islice(self.pool, count - len(some))  # which is in random order
        return [some[row] for row in draw.permutation(len(some))]


def build(
    dataset: Dataset, spec: TransferSpec | None, seed: int = 0, meaning: Meaning | None = None
) -> Transfer:
    """The transfer set of a data set; the soft labels that came with it, if any, are then complete.

    Args:
        dataset: read and cut.
        spec: more texts, or None for those of the data set alone.
        seed: of the views, and of the order of the texts without labels.
        meaning: of words, for the views.

    Raises:
        DataError: a source cannot be read, or its text column cannot be told.
        HubError: a hub or package index did not deliver.
        StoreError: the disk of the cache, where the texts wait, is full or fails.
    """
    spec = spec or TransferSpec()
    unscored: Counter[str] = Counter()
    train = hashing.words(dataset.train.texts)
    held_out = hashing.words([*dataset.selection.texts, *dataset.report.texts])
    index = Index(held_out, train)
    sieve = Sieve(index, train.whole, seed)
    if dataset.unlabeled:
        sieve.pour("train, rows without a label", [dataset.unlabeled])
    if spec.views:
        make = views_of_pairs if dataset.task.is_pair else views
        sieve.pour("views of train", cut(make(dataset.train.texts, spec.views, seed, meaning)))
    for source in spec.unlabeled:
        if dataset.soft is None:
            blocks = texts_of(source, spec.text, is_pair=dataset.task.is_pair)
        else:
            blocks = _scored(dataset.soft, source, spec.text, unscored, is_pair=dataset.task.is_pair)
        sieve.pour(source, blocks, split=spec.split_sentences, limited=True)
    pool, sources = sieve.pool(spec.max_texts)
    sources = tuple(
        replace(one, texts=one.texts + unscored[one.source], unscored=unscored[one.source]) for one in sources
    )
    contradicted = 0
    if dataset.soft is not None:
        dataset.soft.close()
        contradicted = dataset.soft.contradicted
    overlapping = int(index.overlaps(train).sum())
    facts = TransferFacts(len(train), overlapping, sources, dataset.train.is_labelled, contradicted)
    return Transfer(list(dataset.train.texts), dataset.train.labels.astype(np.int64), pool, facts)


def texts_of(source: str, text: Sequence[str] | None, *, is_pair: bool = False) -> Iterator[list[str]]:
    """The texts, or pairs of texts, of a source in blocks; of one with splits, those of train.

    Args:
        source: as a recipe names it.
        text: the column of the text, or the two of a pair; None to guess them.
        is_pair: pairs are asked for.

    Raises:
        DataError: the source cannot be read, has no train split, or its columns cannot be told.
        HubError: a hub or package index did not deliver.
    """
    return columns.only_texts(*_chosen(source, text, is_pair=is_pair))


def _scored(
    soft: SoftLabels, source: str, text: Sequence[str] | None, unscored: Counter[str], *, is_pair: bool
) -> Iterator[list[str]]:
    """As `texts_of`, those that a teacher who is not at hand has scored; the others are counted."""
    for texts, without in soft.texts_of(*_chosen(source, text, is_pair=is_pair)):
        unscored[source] += without
        yield texts


def _chosen(source: str, text: Sequence[str] | None, *, is_pair: bool) -> tuple[Table, tuple[str, ...]]:
    """The table of a source that is read, and its column, or the two of a pair."""
    tables = read.open_source(source).tables
    if "train" not in tables:
        raise DataError(
            f"{source}: there is a {' and a '.join(tables)} split, and held-out texts never serve to learn from. "
            f"Name a file or another split: {source}#NAME"
        )
    table = tables["train"]
    chosen = tuple(text) if text else choose.guess_text(table, pair=is_pair)
    if len(chosen) != 1 + is_pair:
        what = "pairs of texts, expected two columns" if is_pair else "single texts, expected one column"
        raise DataError(f"{source}: transfer.text names {listing(chosen)}, but the data are {what}.")
    return table, chosen
