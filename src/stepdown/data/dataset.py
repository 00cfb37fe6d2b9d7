"""What the rest of stepdown knows of the user's data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stepdown.data.facts import Facts
from stepdown.tasks import TaskKind


@dataclass(frozen=True)
class Task:
    """What is to be said of a text.

    Attributes:
        kind: one label of several, any number of labels, or a number.
        label_names: of the outputs of a model, in order; for regression the one name of what is predicted.
        answers: the different right answers that the data holds, float32 [answers, outputs]; a label is an index into
            them. Single-label: the identity matrix, so that a label is the number of its class. Multi-label: sets of
            labels, 1 for those that apply. Regression: numbers, in the data's own unit.
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

    def truth(self, labels: NDArray[np.int64]) -> NDArray[np.float32]:
        """The right answers, float32 [n, outputs], for labels [n]; NaN where there is none (−1)."""
        known = self.answers[np.maximum(labels, 0)]
        return np.where((labels >= 0)[:, None], known, np.float32(np.nan))

    def said(self, label: int) -> str:
        """An answer in words: the label, the labels of a set, or the number."""
        answer = self.answers[label]
        if self.kind == "regression":
            return f"{answer[0]:g}"
        return " + ".join(self.label_names[at] for at in np.flatnonzero(answer)) or "without a label"


@dataclass(frozen=True)
class Split:
    """Labelled texts.

    Attributes:
        texts: n texts, none of them blank; pairs as `tasks.joined` makes them.
        labels: int64 [n], an index into the task's answers; −1 where there is none.
    """

    texts: list[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: NDArray[np.int64]) -> Split:
        """Some rows, int64 [m], in that order."""
        return Split([self.texts[row] for row in rows.tolist()], self.labels[rows])


@dataclass(frozen=True)
class Dataset:
    """The user's data, cut.

    Attributes:
        train: what is learned from.
        selection: where anything is chosen.
        report: where results are told.
        unlabeled: texts of train without a label.
        facts: what was found and done, for people and results.json.
    """

    task: Task
    train: Split
    selection: Split
    report: Split
    unlabeled: list[str]
    facts: Facts
