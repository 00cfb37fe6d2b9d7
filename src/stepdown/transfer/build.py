"""Gathers the transfer set of a data set: labelled texts, their views, and texts without labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepdown.data import Dataset, choose, columns, groups, read
from stepdown.data.groups import Index
from stepdown.errors import DataError
from stepdown.recipe import TransferSpec
from stepdown.transfer.facts import TransferFacts
from stepdown.transfer.sieve import Sieve
from stepdown.transfer.views import views


@dataclass(frozen=True)
class Transfer:
    """The transfer set.

    Attributes:
        texts: labelled texts of train first; a text that train has with two labels is there twice.
        labels: int64 [texts], −1 where there is none.
        facts: what it is made of.
    """

    texts: list[str]
    labels: NDArray[np.int64]
    facts: TransferFacts


def build(dataset: Dataset, spec: TransferSpec | None, seed: int = 0) -> Transfer:
    """The transfer set of a data set.

    Args:
        dataset: read and cut.
        spec: more texts, or None for those of the data set alone.
        seed: of the draw, where `spec.max_texts` leaves some out.

    Raises:
        DataError: a source cannot be read, or its text column cannot be told.
        HubError: a hub or package index did not deliver.
    """
    spec = spec or TransferSpec()
    train = groups.words(dataset.train.texts)
    held_out = groups.words([*dataset.selection.texts, *dataset.report.texts])
    index = Index(held_out, train)
    seen = set(train.whole.tolist())
    own, named = Sieve(index, seen), Sieve(index, seen, spec.max_texts, seed)
    if dataset.unlabeled:
        own.pour("train, rows without a label", [dataset.unlabeled])
    if spec.views:
        own.pour("views of train", [views(dataset.train.texts, spec.views, seed)])
    for source in spec.unlabeled:
        named.pour(source, _texts(source, spec.text), split=spec.split_sentences)
    texts = [*own.texts(), *named.texts()]
    labels = np.concatenate([dataset.train.labels, np.full(len(texts), -1, np.int64)])
    overlapping = int(index.overlaps(train).sum())
    facts = TransferFacts(len(dataset.train), overlapping, (*own.facts(), *named.facts()))
    return Transfer([*dataset.train.texts, *texts], labels, facts)


def _texts(source: str, text: Sequence[str] | None) -> Iterator[list[str]]:
    """The texts of a source in blocks; of one with splits, those of train."""
    tables = read.open_source(source).tables
    if "train" not in tables:
        raise DataError(
            f"{source}: there is a {' and a '.join(tables)} split, and held-out texts never serve to learn from. "
            f"Name a file or another split: {source}#NAME"
        )
    table = tables["train"]
    return columns.only_texts(table, text[0] if text else choose.guess_text(table))
