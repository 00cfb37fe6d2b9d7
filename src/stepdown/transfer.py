"""The transfer set: every text that teachers label and students learn from.

It is made of the labelled texts of train, the rows of train without a label, and the texts that the recipe names,
whole or cut into sentences; without repeats, and without any text that overlaps a selection or report text (by the
rules of `data.groups`). Old collections contain other people's test sets, so this is never optional, and the counts
are part of the facts.

Sources are streamed, and only what is kept stays in memory.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdown.data import Dataset, columns, groups, read
from stepdown.data.groups import Index
from stepdown.errors import DataError
from stepdown.recipe import TransferSpec

# Words of a sentence that is kept: shorter ones say too little, longer ones are lists and failed cuts.
SHORTEST, LONGEST = 3, 60


@dataclass(frozen=True)
class SourceFacts:
    """What became of the texts of one source.

    Attributes:
        source: as the recipe names it.
        texts: that it holds, blank ones left out.
        sentences: that they were cut into; 0 if they were not.
        length: left out for their length, where sentences are cut.
        repeated: equal, after normalisation, to a text that was there before.
        overlapping: share words with a selection or report text.
        kept: in the transfer set.
    """

    source: str
    texts: int
    sentences: int
    length: int
    repeated: int
    overlapping: int
    kept: int


@dataclass(frozen=True)
class TransferFacts:
    """What the transfer set is made of.

    Attributes:
        labelled: texts of train.
        overlapping: labelled texts of train that share words with a selection or report text, and were left out.
        sources: the other texts.
    """

    labelled: int
    overlapping: int
    sources: tuple[SourceFacts, ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain dicts and lists that JSON can hold."""
        return asdict(self)

    def as_text(self) -> str:
        """For a person at a terminal."""
        lines = [f"Transfer set: {self.labelled + sum(source.kept for source in self.sources):,} texts"]
        left = (
            f"; {self.overlapping:,} were left out, they overlap held-out texts" if self.overlapping else ""
        )
        lines.append(f"  - {self.labelled:,} labelled texts of train{left}")
        return "\n".join([*lines, *(f"  - {_line(source)}" for source in self.sources)])


def _line(source: SourceFacts) -> str:
    cut = f" in {source.sentences:,} sentences" if source.sentences else ""
    reasons = {
        "of other lengths": source.length,
        "repeated": source.repeated,
        "that overlap held-out texts": source.overlapping,
    }
    out = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    return f"{source.kept:,} of the {source.texts:,} texts{cut} of {source.source}" + (
        f"; without {out}" if out else ""
    )


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
    clean = np.flatnonzero(~index.overlaps(train))
    labelled = dataset.train.take(clean)
    sieve = Sieve(index, train.whole)
    sources = []
    if dataset.unlabeled:
        sources.append(sieve.pour("train, rows without a label", [dataset.unlabeled], split=False))
    limited = Sieve(index, sieve.keys(), spec.max_texts, seed)
    for source in spec.unlabeled:
        sources.append(limited.pour(source, _texts(source, spec.text), split=spec.split_sentences))
    others = [*sieve.texts(), *limited.texts()]
    facts = TransferFacts(
        len(labelled), len(train) - len(clean), _kept(sources, limited, bool(dataset.unlabeled))
    )
    labels = np.concatenate([labelled.labels, np.full(len(others), -1, np.int64)])
    return Transfer([*labelled.texts, *others], labels, facts)
