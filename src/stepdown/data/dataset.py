"""What the rest of stepdown knows of the user's data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepdown.data.facts import Facts
from stepdown.data.soft_labels import SoftLabels
from stepdown.data.task import Task


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

    @property
    def is_labelled(self) -> bool:
        """Whether its texts have labels: all of them, or none."""
        return bool((self.labels >= 0).any())

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
        unlabeled: texts of train without a label, beside labelled ones. Where no text of train has a label, train
            holds them, and a selection or report split that was cut from it has no labels either.
        facts: what was found and done, for people and results.json.
        soft: what a teacher that is not at hand said of the texts; None where nobody asked for it.
    """

    task: Task
    train: Split
    selection: Split
    report: Split
    unlabeled: list[str]
    facts: Facts
    soft: SoftLabels | None = None
