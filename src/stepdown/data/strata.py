"""What a cut keeps the shares of: classes, labels, or ranges of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stepdown.data.task import Task
from stepdown.tasks import TaskKind

Ints = NDArray[np.int64]

_NOUNS: Mapping[TaskKind, tuple[str, str]] = {
    "single-label": ("class", "classes"),
    "multi-label": ("label", "labels"),
    "regression": ("range of numbers", "ranges of numbers"),
}
_RANGES, _ROWS_OF_RANGE = 10, 10  # ranges of numbers, at most; rows of train in each, at least


class Strata:
    """The strata of each answer of a task, numbered from 0; a row is in those of its answer.

    Single-label: the class. Multi-label: every label of the set, and one more stratum for sets of none. Regression: one
    of up to ten ranges that hold equally many rows of train.

    Where no text has a label there is one stratum, of all of them.

    Args:
        of_answer: of each answer, at least one.
        kind: of the task.

    Attributes:
        noun, plural: what strata are, for people; empty where there are none.
        count: of the strata.
        overlap: whether a row can be in several.
    """

    def __init__(self, of_answer: Sequence[Sequence[int]], kind: TaskKind = "single-label") -> None:
        self.of_answer = tuple(tuple(own) for own in of_answer)
        self.noun, self.plural = _NOUNS[kind]
        self.overlap = any(len(own) > 1 for own in self.of_answer)
        self.count = 1 + max((stratum for own in self.of_answer for stratum in own), default=-1)
        self._sizes = np.array([len(own) for own in self.of_answer], np.int64)
        self._flat = np.array([stratum for own in self.of_answer for stratum in own], np.int64)
        self._starts = np.cumsum(self._sizes) - self._sizes

    @classmethod
    def of(cls, task: Task, labels: Ints) -> Strata:
        """For a task, whose train split has these labels, int64 [n]; one stratum of all where none is known."""
        if not (labels >= 0).any():
            # An index of −1 is that of the last answer: here, of the only one.
            whole = cls([(0,)])
            whole.noun = whole.plural = ""
            return whole
        if task.kind == "regression":
            values = task.answers[:, 0]
            ranges = int(np.clip(len(labels) // _ROWS_OF_RANGE, 1, _RANGES))
            edges = np.quantile(values[labels], np.arange(1, ranges) / ranges)
            ranges_of = np.searchsorted(np.unique(edges), values, side="right")
            return cls([(at,) for at in ranges_of.tolist()], task.kind)
        rest = len(task.label_names)
        return cls([np.flatnonzero(row).tolist() or [rest] for row in task.answers], task.kind)

    @classmethod
    def of_classes(cls, count: int) -> Strata:
        """For classes alone."""
        return cls([(at,) for at in range(count)])

    def expand(self, labels: Ints) -> tuple[Ints, Ints]:
        """The place in `labels`, and the stratum, of every row in every stratum it is in; int64 [m] each."""
        sizes = self._sizes[labels]
        rows = np.repeat(np.arange(len(labels)), sizes)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        return rows, self._flat[np.repeat(self._starts[labels], sizes) + within]

    def counts(self, labels: Ints) -> Ints:
        """Rows of each stratum, int64 [strata]."""
        return np.bincount(self.expand(labels)[1], minlength=self.count).astype(np.int64)

    def rarest(self, labels: Ints) -> Ints:
        """For each row, how many rows are in the rarest of its strata, int64 [n]."""
        rows, strata = self.expand(labels)
        least = np.full(len(labels), len(labels), np.int64)
        np.minimum.at(least, rows, self.counts(labels)[strata])
        return least
