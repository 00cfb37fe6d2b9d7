"""The transfer set: every text that teachers label and students learn from.

It is made of the labelled texts of train, the rows of train without a label, and the texts that the recipe names,
whole or cut into sentences; without repeats, and without any text that overlaps a selection or report text (by the
rules of `data.groups`). Old collections contain other people's test sets, so this is never optional, and the counts
are part of the facts.

The labelled texts of train are what `data.split` left of them: none equals a held-out text. What else they share with
splits that came with the data stays, and is counted: the arm that learns from labels alone reads them too, and a
comparison of arms that read different train texts would not be one.

Sources are streamed, and only what is kept stays in memory.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdown.data import Dataset, choose, columns, groups, read
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
        not_drawn: left out at random, to keep to `max_texts`.
        kept: in the transfer set.
    """

    source: str
    texts: int
    sentences: int
    length: int
    repeated: int
    overlapping: int
    not_drawn: int
    kept: int


@dataclass(frozen=True)
class TransferFacts:
    """What the transfer set is made of.

    Attributes:
        labelled: texts of train.
        overlapping: labelled texts of train that share words with a selection or report text.
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
        some = f", of which {self.overlapping:,} overlap held-out texts" if self.overlapping else ""
        lines.append(f"  - {self.labelled:,} labelled texts of train{some}")
        return "\n".join([*lines, *(f"  - {_line(source)}" for source in self.sources)])


def _line(source: SourceFacts) -> str:
    what = (
        f"sentences of {source.source}, which has {source.sentences:,} in" if source.sentences else "of the"
    )
    where = "" if source.sentences else f" of {source.source}"
    reasons = {
        "of other lengths": source.length,
        "repeated": source.repeated,
        "that overlap held-out texts": source.overlapping,
        "not drawn": source.not_drawn,
    }
    out = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    return f"{source.kept:,} {what} {source.texts:,} texts{where}{'; without ' if out else ''}{out}"


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


# --- sentences ----------------------------------------------------------------------------------------------------

_BLOCK_TAG = re.compile(r"</?(?:br|p|div|hr|li|ul|ol|h[1-6])\b[^<>]{0,200}>", re.IGNORECASE)
_INLINE_TAG = re.compile(r"</?(?:i|b|u|em|strong|span|a|font|sup|sub)\b[^<>]{0,200}>", re.IGNORECASE)
# The end of a sentence, with quotes and brackets that close there; the first letter of what follows.
_END = re.compile(r"(?:[.!?…]+[\"'”’)\]]*\s+(?=[\"'“‘(\[]*(\w)))|[。！？]+[」』”’]*\s*")
_ABBREVIATIONS = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "rev", "hon", "gen", "col", "lt", "sgt", "capt", "maj", "gov", "sen", "rep",
    "pres", "st", "mt", "jr", "sr", "vs", "no", "nos", "vol", "fig", "figs", "dept", "inc", "ltd", "co", "corp",
    "bros", "approx", "est", "e.g", "i.e", "cf", "al", "op", "a.k.a", "u.s", "u.k", "jan", "feb", "mar", "apr",
    "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
})  # fmt: skip


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, without markup, spaces made single.

    A sentence ends with its line or paragraph, and at . ! ? … before a space and anything but a small letter, unless
    the full stop belongs to an abbreviation or an initial. In text whose words are set apart from marks (" . "), a
    lone full stop ends a sentence whatever follows.
    """
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _INLINE_TAG.sub("", _BLOCK_TAG.sub("\n", text))
    for line in text.split("\n"):
        start = 0
        for end in _END.finditer(line):
            if end[1] is None or _ends(line[start : end.start()], end[0], end[1]):
                yield from _tidy(line[start : end.end()])
                start = end.end()
        yield from _tidy(line[start:])


def _ends(before: str, marks: str, following: str) -> bool:
    if following.islower():
        return before.endswith(" ") and marks.strip() == "."
    if not marks.startswith(".") or marks.startswith(".."):
        return True
    word = before.rsplit(None, 1)[-1].lstrip("\"'“‘([") if before.strip() and not before.endswith(" ") else ""
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    return not is_initial and word.casefold() not in _ABBREVIATIONS


def _tidy(sentence: str) -> Iterator[str]:
    joined = " ".join(sentence.split())
    if joined:
        yield joined
