"""Which words an answer rests on, by erasing them one at a time.

Li, Monroe, Jurafsky (2016), "Understanding Neural Networks through Representation Erasure", section 4: the
importance of a word is how much less the model believes in a label once the word is gone. They measure belief by
the label's log-likelihood; here it is its log-odds, log p/(1 − p). Within one text both put the words in the same
order, but log-odds still differ where the model is all but sure, and every log-likelihood is about 0.

A word is what stands between spaces, its punctuation included; of Chinese and Japanese, each character. Where words
are very many, or the text is very long, neighbours are erased together, so that the cost stays bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import overload

import numpy as np

# Variants of a text, and characters of all of them together, unless the pieces became fewer than the least.
MOST_PIECES, LEAST_PIECES = 128, 16
_MOST_CHARACTERS = 1_000_000
# Kana and Chinese characters, between which no space is written.
_UNSPACED = r"\u3005-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")

Span = tuple[int, int]
"""Start and end of a piece of a text, in characters (code points)."""


def pieces(text: str) -> list[Span]:
    """The words of a text, or, where they are too many, as few neighbours together as keep the cost bounded."""
    most = max(LEAST_PIECES, min(MOST_PIECES, _MOST_CHARACTERS // (len(text) + 1)))
    words = [match.span() for match in _WORD.finditer(text)]
    together = max(1, math.ceil(len(words) / most))
    groups = [words[at : at + together] for at in range(0, len(words), together)]
    return [(group[0][0], group[-1][1]) for group in groups]


class Variants(Sequence[str]):
    """A text, then the text without each of its pieces; each is made when it is asked for."""

    def __init__(self, text: str, spans: Sequence[Span]) -> None:
        self.text = text
        self.spans = spans

    def __len__(self) -> int:
        return 1 + len(self.spans)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        if index == 0:
            return self.text
        start, end = self.spans[index - 1]
        return self.text[:start] + self.text[end:]


def log_odds(logits: np.ndarray, label: int, temperature: float) -> np.ndarray:
    """Log-odds of a label, computed on logits, where no probability near 1 loses digits.

    Args:
        logits: float, shape [n, labels].
        label: a column of it.
        temperature: of the softmax.

    Returns:
        float64, shape [n]: log p/(1 − p) for the label's probability p.
    """
    scaled = logits.astype(np.float64) / temperature
    others = np.delete(scaled, label, axis=1)
    highest = others.max(1)
    found: np.ndarray = scaled[:, label] - highest - np.log(np.exp(others - highest[:, None]).sum(1))
    return found


def importance(logits: np.ndarray, label: int, temperature: float) -> list[float]:
    """How much each piece speaks for a label: by how much its log-odds fall when the piece is erased.

    Args:
        logits: of the `Variants` of a text, shape [1 + pieces, labels].
        label: a column of it.
        temperature: of the softmax.

    Returns:
        one number a piece; below 0 where the piece speaks against the label.
    """
    found = log_odds(logits, label, temperature)
    return (found[0] - found[1:]).round(4).tolist()  # type: ignore[no-any-return]
