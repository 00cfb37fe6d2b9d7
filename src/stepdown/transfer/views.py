"""Views: new texts made of the labelled ones, for the teacher to label where there is no other text of the kind.

After Tang et al. (2019), "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks", section 4.3, who
mask words, replace them by others of their part of speech, and sample n-grams; and Jiao et al. (2020), "TinyBERT",
section 3.2, who replace words by their neighbours among word vectors. Here words are left out rather than masked,
since a student never meets a mask; they are replaced by neighbours in the teacher's embedding space, among all words
that it knows, if somebody says which these are, else by any word of the task; and parts of two texts are joined, since
a student must also learn what outweighs what. A view need not be good English, nor keep its text's label: the teacher
says what it makes of it.

Views of pairs are in `pairs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from stepdown.transfer.near import Meaning, Space, core

# Shortest part of a text that is a view, in words; and the share of words that is left out or replaced.
_PART = 3
_SHARE = 0.15

KINDS = 4
"""Kinds of view of a single text: a part, words left out, words replaced, parts of two texts joined."""


class Maker:
    """Makes views of single texts.

    Args:
        texts: of the task, whose words and parts serve.
        draw: makes every choice.
        near: the neighbours of a word; of one that it does not know, nothing.
    """

    def __init__(
        self, texts: Sequence[str], draw: np.random.Generator, near: Mapping[str, Sequence[str]]
    ) -> None:
        self._texts, self._draw, self._near = texts, draw, near
        words = np.array([len(text.split()) for text in texts], np.int64)
        self._ends = np.cumsum(words)
        self.long = np.flatnonzero(words >= _PART)
        """int64: the rows of the texts that have views, those of more than two words."""

    def view(self, row: int, kind: int) -> str:
        """A view of the text in a row of `long`: of the `KINDS` in their order. It may have no words."""
        own, draw = self._texts[row].split(), self._draw
        if kind == 0:
            view = self._part(own)
        elif kind == 1:
            view = [word for word in own if draw.random() > _SHARE]
        elif kind == 2:
            view = [word if draw.random() > _SHARE else self._other(word) for word in own]
        else:
            other = self._texts[self.long[draw.integers(len(self.long))]]
            view = self._part(own) + self._part(other.split())
        return " ".join(view)

    def _other(self, word: str) -> str:
        """A neighbour of the word, with the marks around it kept; where it has none, any word."""
        found = self._near.get(core(word))
        if not found:
            return self._word(int(self._draw.integers(self._ends[-1])))
        return word.replace(core(word), found[int(self._draw.integers(len(found)))], 1)

    def _word(self, place: int) -> str:
        """One word of all texts, by its place among them."""
        row = int(np.searchsorted(self._ends, place, side="right"))
        return self._texts[row].split()[place - int(self._ends[row])]

    def _part(self, words: list[str]) -> list[str]:
        """A run of at least three words, every length equally likely."""
        length = int(self._draw.integers(_PART, len(words) + 1))
        start = int(self._draw.integers(0, len(words) - length + 1))
        return words[start : start + length]


def views(texts: Sequence[str], each: int, seed: int, meaning: Meaning | None = None) -> Iterator[str]:
    """`each` views of every text that has more than two words, text by text.

    In turn: a part, the text with words left out, the text with words replaced, and parts of two texts joined.

    Args:
        texts: of the task, single ones.
        each: views of one text.
        seed: the same texts, number and seed give the same views.
        meaning: tells by which words to replace words.
    """
    maker = Maker(texts, np.random.default_rng(seed), Space(texts, meaning).neighbours())
    for row in maker.long.tolist():
        for turn in range(each):
            if view := maker.view(row, (turn + row) % KINDS):
                yield view
