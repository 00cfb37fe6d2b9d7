"""Which words an answer rests on, by erasing them one at a time.

Li, Monroe, Jurafsky (2016), "Understanding Neural Networks through Representation Erasure", section 4: the
importance of a word is how much less the model believes in a label once the word is gone. They measure belief by
the label's log-likelihood; here it is its log-odds, log p/(1 − p). Within one text both put the words in the same
order, but log-odds still differ where the model is all but sure, and every log-likelihood is about 0. Where each
label is by itself, so are its log-odds; a number has no odds, and its fall is told as it is, in the data's unit.

A word is what stands between spaces, its punctuation included; of Chinese and Japanese, each character. Where words
are very many, or the text is very long, neighbours are erased together, so that the cost stays bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import NamedTuple, overload

import numpy as np

from stepdown.runtime.inputs import Text, texts_of
from stepdown.tasks import TaskKind

# Variants of a text, and characters of all of them together, unless the pieces became fewer than the least.
MOST_PIECES, LEAST_PIECES = 128, 16
_MOST_CHARACTERS = 1_000_000
# Kana and Chinese characters, between which no space is written.
_UNSPACED = r"\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")


class Piece(NamedTuple):
    """Where a piece is: in which of the texts of a pair (0 of a single text), and from where to where in it.

    Start and end count characters (code points).
    """

    text_index: int
    start: int
    end: int


def pieces(text: Text) -> list[Piece]:
    """The words of a text, or of both of a pair.

    Where they are too many, neighbours go together, as few as keep the cost bounded.
    """
    texts = texts_of(text)
    words = [[match.span() for match in _WORD.finditer(one)] for one in texts]
    most = max(LEAST_PIECES, min(MOST_PIECES, _MOST_CHARACTERS // (sum(map(len, texts)) + 1)))
    together = max(1, math.ceil(sum(map(len, words)) / most))
    return [
        Piece(index, own[at][0], own[min(at + together, len(own)) - 1][1])
        for index, own in enumerate(words)
        for at in range(0, len(own), together)
    ]


class Variants(Sequence[Text]):
    """A text or pair, then the same without each of its pieces; each is made when it is asked for."""

    def __init__(self, text: Text, found: Sequence[Piece]) -> None:
        self.text = text
        self.pieces = found

    def __len__(self) -> int:
        return 1 + len(self.pieces)

    @overload
    def __getitem__(self, index: int) -> Text: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Text]: ...
    def __getitem__(self, index: int | slice) -> Text | Sequence[Text]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        if index == 0:
            return self.text
        piece = self.pieces[index - 1]
        texts = list(texts_of(self.text))
        whole = texts[piece.text_index]
        texts[piece.text_index] = whole[: piece.start] + whole[piece.end :]
        return texts[0] if isinstance(self.text, str) else texts


def belief(task: TaskKind, logits: np.ndarray, label: int, temperature: float) -> np.ndarray:
    """How much a model believes in a label, computed on logits, where no probability near 1 loses digits.

    Args:
        task: what the logits mean.
        logits: float, shape [n, labels]; of a regression its numbers, shape [n, 1].
        label: a column of it.
        temperature: of the softmax or sigmoid; of no matter to a regression.

    Returns:
        float64, shape [n]: log p/(1 − p) for the label's probability p; of a regression the numbers.
    """
    if task == "regression":
        return logits[:, label].astype(np.float64)
    scaled = logits.astype(np.float64) / temperature
    own: np.ndarray = scaled[:, label]
    if task == "multi-label":
        return own  # the log-odds of a sigmoid are what it is taken of
    others = np.delete(scaled, label, axis=1)
    highest = others.max(1)
    found: np.ndarray = own - highest - np.log(np.exp(others - highest[:, None]).sum(1))
    return found


def importance(task: TaskKind, logits: np.ndarray, label: int, temperature: float) -> list[float]:
    """How much each piece speaks for a label: by how much the belief in it falls when the piece is erased.

    Args:
        task: what the logits mean.
        logits: of the `Variants` of a text, shape [1 + pieces, labels].
        label: a column of it.
        temperature: as for `belief`.

    Returns:
        one number a piece; below 0 where the piece speaks against the label, or makes the number smaller.
    """
    found = belief(task, logits, label, temperature)
    falls = found[0] - found[1:]
    if (
        task == "regression"
    ):  # in millionths or in years: it is not known after how many places digits mean nothing
        return [float(f"{fall:.4g}") for fall in falls]
    return (falls.round(4) + 0.0).tolist()  # type: ignore[no-any-return]  # + 0.0: no −0.0
