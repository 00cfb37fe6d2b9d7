"""Views: new texts made of the labelled ones, for the teacher to label where there is no other text of the kind.

After Tang et al. (2019), "Distilling Task-Specific Knowledge from BERT into Simple Neural Networks", section 4.3, who
mask words, replace them by others of their part of speech, and sample n-grams; and Jiao et al. (2020), "TinyBERT",
section 3.2, who replace words by their neighbours among word vectors. Here words are left out rather than masked,
since a student never meets a mask; they are replaced by neighbours in the teacher's embedding space, if somebody says
which these are, else by any word of the task; and parts of two texts are joined, since a student must also learn what
outweighs what. A view need not be good English, nor keep its text's label: the teacher says what it makes of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

# Shortest part of a text that is a view, in words; and the share of words that is left out or replaced.
_PART = 3
_SHARE = 0.15


# Says of words which are near them; of a word that it does not know, nothing.
Neighbours = Callable[[Sequence[str]], Mapping[str, Sequence[str]]]

# A word with the marks around it.
_CORE = re.compile(r"\w(?:.*\w)?", re.DOTALL)


def views(texts: Sequence[str], each: int, seed: int, neighbours: Neighbours | None = None) -> list[str]:
    """`each` views of every text that has more than two words, text by text.

    In turn: a part, the text with words left out, the text with words replaced, and parts of two texts joined.

    Args:
        texts: of the task.
        each: views of one text.
        seed: the same texts, number and seed give the same views.
        neighbours: words to replace words by.
    """
    draw = np.random.default_rng(seed)
    words = [text.split() for text in texts]
    long = [row for row, own in enumerate(words) if len(own) >= _PART]
    pool = [word for own in words for word in own]
    near = neighbours(sorted({_core(word) for word in pool})) if neighbours else {}
    found = []
    for row in long:
        own = words[row]
        for turn in range(each):
            kind = (turn + row) % 4
            if kind == 0:
                view = _part(own, draw)
            elif kind == 1:
                view = [word for word in own if draw.random() > _SHARE]
            elif kind == 2:
                view = [word if draw.random() > _SHARE else _other(word, near, pool, draw) for word in own]
            else:
                view = _part(own, draw) + _part(words[long[draw.integers(len(long))]], draw)
            found.append(" ".join(view))
    return [view for view in found if view]


def _other(
    word: str, near: Mapping[str, Sequence[str]], pool: Sequence[str], draw: np.random.Generator
) -> str:
    """A neighbour of the word, with the marks around it kept; where it has none, any word."""
    core = _core(word)
    found = near.get(core)
    if not found:
        return pool[int(draw.integers(len(pool)))]
    return word.replace(core, found[int(draw.integers(len(found)))], 1)


def _core(word: str) -> str:
    match = _CORE.search(word)
    return match[0] if match else word


def _part(words: list[str], draw: np.random.Generator) -> list[str]:
    """A run of at least three words, every length equally likely."""
    length = int(draw.integers(_PART, len(words) + 1))
    start = int(draw.integers(0, len(words) - length + 1))
    return words[start : start + length]
