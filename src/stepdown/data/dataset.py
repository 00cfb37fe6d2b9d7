"""What the rest of stepdown knows of the user's data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stepdown.data.facts import Facts


@dataclass(frozen=True)
class Task:
    """What is to be said of a text.

    Attributes:
        kind: one label of several; other kinds are refused when data is read.
        label_names: in the order of the labels' numbers.
    """

    kind: Literal["single-label"]
    label_names: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Labelled texts.

    Attributes:
        texts: n texts, none of them blank.
        labels: int64 [n], an index into the task's label names.
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
