"""What is to be said of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stepdown.tasks import TaskKind


@dataclass(frozen=True)
class Task:
    """What is to be said of a text.

    Attributes:
        kind: one label of several, any number of labels, or a number.
        label_names: of the outputs of a model, in order; for regression the one name of what is predicted.
        answers: the different right answers that the data holds, float32 [answers, outputs]; a label is an index into
            them. Single-label: the identity matrix, so that a label is the number of its class. Multi-label: sets of
            labels, 1 for those that apply. Regression: numbers, in the data's own unit. Of the latter two there are
            none where no text has a label.
        is_pair: texts are pairs (`tasks.joined`).
    """

    kind: TaskKind
    label_names: tuple[str, ...]
    answers: NDArray[np.float32] = field(compare=False, repr=False)
    is_pair: bool = False

    @classmethod
    def of_classes(cls, label_names: Sequence[str], *, is_pair: bool = False) -> Task:
        """One label of several."""
        names = tuple(label_names)
        return cls("single-label", names, np.eye(len(names), dtype=np.float32), is_pair)

    @classmethod
    def without_answers(cls, kind: TaskKind, label_names: Sequence[str], *, is_pair: bool = False) -> Task:
        """A task of which the outputs are known, and no right answer."""
        names = tuple(label_names)
        if kind == "single-label":
            return cls.of_classes(names, is_pair=is_pair)
        return cls(kind, names, np.zeros((0, len(names)), np.float32), is_pair)

    def truth(self, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """The right answers, float32 [n, outputs], for labels [n]; NaN where there is none (−1)."""
        if not len(self.answers):
            return np.full((len(labels), len(self.label_names)), np.nan, np.float32)
        known = self.answers[np.maximum(labels, 0)]
        return np.where((labels >= 0)[:, None], known, np.float32(np.nan))

    def said(self, label: int) -> str:
        """An answer in words: the label, the labels of a set, or the number."""
        answer = self.answers[label]
        if self.kind == "regression":
            return f"{answer[0]:g}"
        return " + ".join(self.label_names[at] for at in np.flatnonzero(answer)) or "without a label"
