"""What is near in meaning: words, by their vectors, and texts, by the vectors of their words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Meaning:
    """What a teacher knows of words.

    Attributes:
        vectors: of words, float32 [n, columns], each of length 1: the nearer two words, the larger their product.
        words: gives those that it knows, the commonest first, whether or not the task has them.
    """

    vectors: Callable[[Sequence[str]], Vectors]
    words: Callable[[], Sequence[str]] = tuple


# Words that are near a word, and texts that are near a text: so few that they mean nearly the same, enough for variety.
NEAREST = 8
# Words that have a vector, the most frequent ones of the task first, and texts of a side among which near ones are
# sought: what keeps memory and time in bounds where texts are many.
_MOST_WORDS, _MOST_TEXTS = 50_000, 20_000
_ROWS = 1024

# A word with the marks around it.
_CORE = re.compile(r"\w(?:.*\w)?", re.DOTALL)


def core(word: str) -> str:
    """A word without the marks around it."""
    match = _CORE.search(word)
    return match[0] if match else word


class Space:
    """The words of a task, those that a teacher knows beside them, and the vectors of all.

    Args:
        texts: of the task.
        meaning: gives the vectors; None where nobody knows them, and then nothing is near anything.
    """

    def __init__(self, texts: Sequence[str], meaning: Meaning | None) -> None:
        counts: Counter[str] = Counter()
        if meaning is not None:
            for text in texts:
                counts.update({core(word) for word in text.split()})
        # Of equally frequent ones the first by spelling: they were counted in another order in every process.
        by_frequency = sorted(counts, key=lambda word: (-counts[word], word))
        self._words = sorted(by_frequency[:_MOST_WORDS])
        self._places = {word: place for place, word in enumerate(self._words)}
        self._others: list[str] = []
        # Those of the task's words first.
        self._vectors = np.zeros((0, 1), np.float32)
        if meaning and self._words:
            known = {word.casefold() for word in self._words}
            others = [word for word in dict.fromkeys(meaning.words()) if word.casefold() not in known]
            self._others = others[: _MOST_WORDS - len(self._words)]
            self._vectors = meaning.vectors([*self._words, *self._others])
        self._rarity = np.log(len(texts) / np.array([counts[word] for word in self._words], np.float64))

    def neighbours(self) -> dict[str, list[str]]:
        """The words that are nearest to each word of the task, at most `NEAREST`, the nearest first.

        Among them are words that no text of the task has: of a city, cities that a student would never have met.
        """
        words = [*self._words, *self._others]
        if len(words) < 2:
            return {}
        count = min(NEAREST, len(words) - 1)
        found: dict[str, list[str]] = {}
        for start in range(0, len(self._words), _ROWS):
            end = min(start + _ROWS, len(self._words))
            near = self._vectors[start:end] @ self._vectors.T
            near[np.arange(len(near)), start + np.arange(len(near))] = -np.inf
            # Sorting whole rows would take longer than all else.
            some = np.sort(np.argpartition(-near, count - 1, axis=1)[:, :count], axis=1)
            order = np.argsort(-np.take_along_axis(near, some, axis=1), axis=1, kind="stable")
            best = np.take_along_axis(some, order, axis=1)
            for word, row in zip(self._words[start:end], best.tolist(), strict=True):
                found[word] = [words[other] for other in row]
        return found

    def of(self, texts: Sequence[str]) -> Vectors:
        """Vectors of texts, float32 [n, columns]: of length 1, or 0 where no word is known that others lack.

        The sum of the vectors of a text's words, each weighted by the logarithm of its inverse document frequency, much
        as Arora et al. (2017), "A Simple but Tough-to-Beat Baseline for Sentence Embeddings", weigh them.
        """
        places = [
            [self._places[word] for word in map(core, text.split()) if word in self._places] for text in texts
        ]
        ends = np.cumsum([0, *map(len, places)])
        flat = np.array([place for own in places for place in own], np.int64)
        counted = csr_array((self._rarity[flat], flat, ends), shape=(len(texts), len(self._words)))
        return _unit(np.asarray(counted @ self._vectors[: len(self._words)]))


class Partners:
    """Finds the texts on one side of pairs that are nearest to some text.

    Args:
        space: of the words.
        sides: the first texts of all pairs, and the second ones.
        draw: chooses the texts among which near ones are sought, where they are very many.
    """

    def __init__(
        self, space: Space, sides: tuple[Sequence[str], Sequence[str]], draw: np.random.Generator
    ) -> None:
        self._space = space
        self._texts = [_some(side, draw) for side in sides]
        vectors = [space.of(side) for side in self._texts]
        # What all texts have in common tells none from another.
        self._centre = np.concatenate(vectors).mean(0)
        self._vectors = [_unit(one - self._centre) for one in vectors]

    def nearest(self, texts: Sequence[str], side: int) -> list[list[str]]:
        """For each text the texts on `side` that are nearest to it, at most `NEAREST`, in no order.

        None where none of its words is known, as of a blank text.
        """
        candidates = self._texts[side]
        count = min(NEAREST, len(candidates))
        found: list[list[str]] = []
        for start in range(0, len(texts), _ROWS):
            vectors = self._space.of(texts[start : start + _ROWS])
            known = np.square(vectors).sum(axis=1) > 0
            near = _unit(vectors - self._centre) @ self._vectors[side].T
            best = np.argpartition(-near, count - 1, axis=1)[:, :count].tolist()
            for row, own in enumerate(best):
                found.append([candidates[other] for other in sorted(own)] if known[row] else [])
        return found


def _some(texts: Sequence[str], draw: np.random.Generator) -> list[str]:
    """Different texts, drawn at random if they are too many to be compared with all others."""
    different = list(dict.fromkeys(texts))
    if len(different) <= _MOST_TEXTS:
        return different
    return [different[row] for row in np.sort(draw.permutation(len(different))[:_MOST_TEXTS]).tolist()]


def _unit(vectors: NDArray[np.floating]) -> Vectors:
    """Each of length 1; 0 stays 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length == 0, 1.0, length)).astype(np.float32)
