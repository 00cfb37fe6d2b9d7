"""What the labels of all splits say, before and after it is known what they mean: for `infer` and its helpers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stepdown.data.choose import Columns
from stepdown.data.columns import Label, Rows, Values
from stepdown.data.table import did_you_mean, listing
from stepdown.data.task import Task
from stepdown.errors import DataError

# A leading zero ("007") makes a code, not a number.
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?")
MANY_CLASSES = 20  # that many, and a class has only a row or two: a text or an id, no class


@dataclass(frozen=True)
class Inferred:
    """What the labels mean.

    Attributes:
        labels: of each split, int64 [rows]: an index into the task's answers, −1 where there is none.
        notes: what was decided that a user might want to know.
    """

    task: Task
    labels: dict[str, NDArray[np.int64]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Met:
    """The labels that were met.

    Attributes:
        splits: as read; "train" is among them.
        said: the different labels of all splits, in the order of `Rows.values`.
        columns: that they stand in.
        notes: grows with what is decided.
    """

    splits: Mapping[str, Rows]
    said: Sequence[Label]
    columns: Columns
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, splits: Mapping[str, Rows], values: Values, columns: Columns) -> Met:
        """The labels of some splits. Raises DataError if train has none."""
        met = cls(splits, list(values.numbers), columns)
        if not met.counts("train").any():
            raise DataError(f"{met.place} holds no label at all. Expected one in most rows.")
        return met

    @property
    def place(self) -> str:
        """Where the labels of train are, as messages begin."""
        names = listing(self.columns.label, 4)
        noun = "column" if len(self.columns.label) == 1 else "columns"
        return f"{self.splits['train'].name}: the label {noun} {names}"

    @property
    def is_pair(self) -> bool:
        """Whether texts are pairs."""
        return len(self.columns.text) == 2

    def counts(self, split: str) -> NDArray[np.int64]:
        """Rows of a split with each of the labels, int64 [said]."""
        values = self.splits[split].values
        return np.bincount(values[values >= 0], minlength=len(self.said)).astype(np.int64)

    def in_train(self) -> list[Label]:
        """The labels that train has."""
        return [self.said[at] for at in np.flatnonzero(self.counts("train")).tolist()]

    def where(self, number: int) -> str:
        """File and row of the first row with a label, as messages begin."""
        source, row = next(rows.first[number] for rows in self.splits.values() if number in rows.first)
        return f"{source}: row {row:,}"

    def inferred(self, task: Task, answer_of: Sequence[int]) -> Inferred:
        """The labels of all splits, given the answer that each of `said` is; −1 if it is none."""
        # One entry more than there are values: rows without a label, −1, find the last.
        index = np.array([*answer_of, -1], np.int64)
        labels = {split: index[rows.values] for split, rows in self.splits.items()}
        return Inferred(task, labels, tuple(self.notes))

    def check_known(self, unknown: Mapping[int, str], names: Sequence[str]) -> None:
        """Refuse labels that train lacks.

        Args:
            unknown: by number of `said`: the label that is unknown.
            names: of the labels that train has.
        """
        for split, rows in self.splits.items():
            counts = self.counts(split)
            for number, label in unknown.items():
                if counts[number]:
                    source, row = rows.first[number]
                    count = sum(int(counts[at]) for at, other in unknown.items() if other == label)
                    many = f"{count:,} rows, the first is row {row:,}" if count > 1 else f"row {row:,}"
                    raise DataError(
                        f"{source}: the label {label!r} ({many}) of {split} is in no row of train, whose labels are: "
                        f"{listing(names)}.{did_you_mean(label, names)} Correct the rows or take them out."
                    )


def check_labels(found: Sequence[str], rows: int, place: str) -> None:
    """Refuse so many different labels that they are none.

    Raises:
        DataError: most have only a row or two.
    """
    if len(found) > MANY_CLASSES and len(found) * 2 > rows:
        raise DataError(
            f"{place} holds {len(found):,} different values in {rows:,} rows, such as {listing(sorted(found), 3)}. "
            f"Expected a few classes: is it the right column?"
        )


def named(
    found: Sequence[str],
    numeric: bool,
    label_names: Sequence[str] | None,
    known_names: Sequence[str] | None,
    place: str,
    notes: list[str],
) -> dict[str, str]:
    """The name of each label that was found in train, in the order that the outputs will have.

    Args:
        found: in order.
        numeric: whether they are numbers.
        label_names: the user's; they must fit.
        known_names: those that came with the data; used if they fit.
        place: as messages begin.
        notes: grows with what is decided.

    Raises:
        DataError: the user's names do not fit.
    """
    if label_names is not None:
        return _by_user(found, numeric, label_names, place, notes)
    if known_names is not None:
        fitting = _fit(found, numeric, known_names)
        if fitting is not None:
            return fitting
        notes.append(
            f"{place}: the label names that came with the data do not fit its labels, and were not used."
        )
    return {name: name for name in found}


def _by_user(
    found: Sequence[str], numeric: bool, label_names: Sequence[str], place: str, notes: list[str]
) -> dict[str, str]:
    fitting = _fit(found, numeric, label_names)
    if fitting is None and numeric and len(found) == len(label_names):
        fitting = dict(zip(found, label_names, strict=True))
        pairs = ", ".join(f"{number} is {name}" for number, name in fitting.items())
        notes.append(f"{place}: label_names were given to the labels in their order: {pairs}.")
    if fitting is None:
        raise DataError(
            f"{place} holds {listing(found)}, which label_names does not fit: {listing(label_names)}. "
            f"Expected the labels themselves in the order you want, or a name for each of 0, 1, …"
        )
    absent = [name for name in label_names if name not in fitting.values()]
    if absent:
        raise DataError(
            f"{place}: label_names names {listing(absent)}, but no row of train has it. Take it out."
        )
    return fitting


def _fit(found: Sequence[str], numeric: bool, names: Sequence[str]) -> dict[str, str] | None:
    """Found labels to names, in the names' order: the labels are among the names, or number them from 0."""
    if set(found) <= set(names):
        return {name: name for name in names if name in found}
    numbered = {str(number): name for number, name in enumerate(names)}
    if numeric and set(found) <= set(numbered) and len(set(names)) == len(names):
        return {number: name for number, name in numbered.items() if number in found}
    return None
