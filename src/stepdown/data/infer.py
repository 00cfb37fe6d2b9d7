"""What the labels mean: the task, the names and order of its labels, and which rows have none.

Left out in this version, and refused in one sentence: several labels a text, numbers to be predicted, pairs of texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepdown.data.choose import DOES
from stepdown.data.columns import Rows, Values
from stepdown.data.dataset import Task
from stepdown.data.table import did_you_mean, listing
from stepdown.errors import DataError

# A leading zero ("007") makes a code, not a number.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d*)?([eE][+-]?\d+)?")
_MANY_FRACTIONS = 20  # different fractional numbers, from which on they are a quantity and no classes
_MANY_CLASSES = 20  # that many, and a class has only a row or two: a text or an id, no class
_LIST = re.compile(r"\[.*\]", re.DOTALL)


@dataclass(frozen=True)
class Inferred:
    """What the labels mean.

    Attributes:
        labels: of each split, int64 [rows]: an index into the task's label names, −1 where there is none.
        notes: what was decided that a user might want to know.
    """

    task: Task
    labels: dict[str, NDArray[np.int64]]
    notes: tuple[str, ...]


def infer(
    splits: Mapping[str, Rows],
    values: Values,
    *,
    column: str,
    label_names: Sequence[str] | None = None,
    known_names: Sequence[str] | None = None,
) -> Inferred:
    """The task that the labels make, and every row's label.

    Args:
        splits: as read; "train" is among them.
        values: all labels that were met in them.
        column: of the label, as messages name it.
        label_names: the user's, in order; they must fit.
        known_names: those that came with the data, in order; used if they fit.

    Raises:
        DataError: the labels are no classes, or of one class, or a split has one that train lacks, or names do not
            fit.
    """
    train = splits["train"]
    said = list(values.numbers)
    counts = np.bincount(train.values[train.values >= 0], minlength=len(said))
    place = f"{train.name}: the label column {column!r}"
    if not counts.any():
        raise DataError(f"{place} holds no label at all. Expected one in most rows.")
    if all(_LIST.fullmatch(value) for value in said):
        raise DataError(f"{place} holds lists such as {said[0]!r}: several labels a text, but {DOES}.")
    in_train = [value for value, count in zip(said, counts, strict=True) if count]
    notes: list[str] = []
    numeric = all(_NUMBER.fullmatch(value) for value in said)
    classes: dict[str, str | None] = {value: value for value in said}
    if numeric:
        classes = _numbers(said, place)
    if _is_no_label("-1", classes, in_train, numeric, label_names, known_names):
        classes = {value: None if name == "-1" else name for value, name in classes.items()}
        if any(classes[value] is None for value in in_train):
            notes.append(
                f"{place}: −1 counts as no label. If it is a class, name every class in label_names."
            )
    found = {name for value in in_train if (name := classes[value]) is not None}
    _check_classes(found, int(counts.sum()), place)
    ordered = sorted(found, key=float) if numeric else sorted(found)
    names = _named(ordered, numeric, label_names, known_names, place, notes)
    order = {name: number for number, name in enumerate(names)}
    for split, rows in splits.items():
        _check_known(split, rows, [name is None or name in order for name in classes.values()], said, names)
    # One entry more than there are values: rows without a label, −1, find the last.
    index = np.array([*(order.get(name or "", -1) for name in classes.values()), -1], np.int64)
    labels = {split: index[rows.values] for split, rows in splits.items()}
    return Inferred(Task.of_classes(tuple(names.values())), labels, tuple(notes))


def _numbers(said: Sequence[str], place: str) -> dict[str, str | None]:
    """Labels that are numbers, in their shortest spelling. Raises DataError if they are a quantity."""
    numbers = {value: float(value) for value in said}
    fractions = [value for value, number in numbers.items() if not number.is_integer()]
    if fractions and len(set(numbers.values())) > _MANY_FRACTIONS:
        raise DataError(
            f"{place} holds numbers such as {fractions[0]}: a quantity to be predicted, but {DOES}."
        )
    return {
        value: f"{int(number)}" if number.is_integer() else f"{number:g}" for value, number in numbers.items()
    }


def _is_no_label(
    name: str,
    classes: Mapping[str, str | None],
    in_train: Sequence[str],
    numeric: bool,
    label_names: Sequence[str] | None,
    known_names: Sequence[str] | None,
) -> bool:
    """Whether −1 says that there is no label, as in test splits of the hub, and is no class, as in −1 against 1."""
    if label_names is not None and (name in label_names or len(label_names) == len(set(classes.values()))):
        return False
    found = {classes[value] for value in in_train}
    return name not in found or (numeric and (known_names is not None or len(found) != 2))


def _check_classes(found: set[str], rows: int, place: str) -> None:
    if len(found) < 2:
        only = next(iter(found), None)
        what = "no label" if only is None else f"a single class, {only!r}"
        raise DataError(f"{place} holds {what}. Expected at least two classes.")
    if len(found) > _MANY_CLASSES and len(found) * 2 > rows:
        raise DataError(
            f"{place} holds {len(found):,} different values in {rows:,} rows, such as {listing(sorted(found), 3)}. "
            f"Expected a few classes: is it the right column?"
        )


def _named(
    found: Sequence[str],
    numeric: bool,
    label_names: Sequence[str] | None,
    known_names: Sequence[str] | None,
    place: str,
    notes: list[str],
) -> dict[str, str]:
    """The name of each class that was found in train, in the order that the labels will have."""
    if label_names is not None:
        named = _fit(found, numeric, label_names)
        if named is None and numeric and len(found) == len(label_names):
            named = dict(zip(found, label_names, strict=True))
            pairs = ", ".join(f"{number} is {name}" for number, name in named.items())
            notes.append(f"{place}: label_names were given to the labels in their order: {pairs}.")
        if named is None:
            raise DataError(
                f"{place} holds {listing(found)}, which label_names does not fit: {listing(label_names)}. "
                f"Expected the labels themselves in the order you want, or a name for each of 0, 1, …"
            )
        absent = [name for name in label_names if name not in named.values()]
        if absent:
            raise DataError(
                f"{place}: label_names names {listing(absent)}, but no row of train has it. Take it out."
            )
        return named
    if known_names is not None:
        named = _fit(found, numeric, known_names)
        if named is not None:
            return named
        notes.append(
            f"{place}: the label names that came with the data do not fit its labels, and were not used."
        )
    return {name: name for name in found}


def _fit(found: Sequence[str], numeric: bool, names: Sequence[str]) -> dict[str, str] | None:
    """Found classes to names, in the names' order: the classes are among the names, or number them from 0."""
    if set(found) <= set(names):
        return {name: name for name in names if name in found}
    numbered = {str(number): name for number, name in enumerate(names)}
    if numeric and set(found) <= set(numbered) and len(set(names)) == len(names):
        return {number: name for number, name in numbered.items() if number in found}
    return None


def _check_known(
    split: str, rows: Rows, known: Sequence[bool], said: Sequence[str], names: Mapping[str, str]
) -> None:
    counts = np.bincount(rows.values[rows.values >= 0], minlength=len(said))
    for number, count in enumerate(counts):
        if count and not known[number]:
            source, row = rows.first[number]
            many = f"{count:,} rows, the first is row {row:,}" if count > 1 else f"row {row:,}"
            label = said[number]
            raise DataError(
                f"{source}: the label {label!r} ({many}) of {split} is in no row of train, whose labels are: "
                f"{listing(list(names))}.{did_you_mean(label, list(names))} Correct the rows or take them out."
            )
