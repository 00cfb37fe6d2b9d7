"""A list of dicts, a Dataset or a DataFrame as texts and labels, by the rules of txtai's `data/labels.py`.

Labels that are lists are sets of labels; numbers that are all whole are classes; other numbers are predicted as such.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdown.data.dataset import Split
from stepdown.data.task import Task
from stepdown.errors import DataError
from stepdown.tasks import TaskKind, joined, single

_SHOWN = 8


@dataclass(frozen=True)
class Columns:
    """What the columns of data are called, as txtai has it: text, text2, label; text2 is None for single texts."""

    text: str = "text"
    text2: str | None = None
    label: str = "label"

    @classmethod
    def of(cls, given: Sequence[str | None] | None) -> Columns:
        """From (text, label) or (text, text2, label).

        Raises:
            DataError: it is neither.
        """
        if not given:
            return cls()
        if isinstance(given, str) or len(given) not in (2, 3) or given[0] is None or given[-1] is None:
            raise DataError(f"columns is {given!r}; expected (text, label) or (text, second text, label)")
        return cls(given[0], given[1] if len(given) == 3 else None, given[-1])

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are read."""
        return (self.text, *((self.text2,) if self.text2 else ()), self.label)


@dataclass(frozen=True)
class Rows:
    """Texts as the rest of stepdown has them, and their labels as they were given.

    Attributes:
        texts: n texts, pairs as `tasks.joined` makes them.
        labels: n numbers or lists; None where there is none.
    """

    texts: list[str]
    labels: list[Any]

    def __len__(self) -> int:
        return len(self.texts)


def read(data: Any, columns: Columns) -> Rows:
    """The rows of a list of dicts, a Dataset (streaming or not) or a DataFrame.

    Raises:
        DataError: it is something else, a column is missing, or a text is no string.
    """
    found = _columns(data, columns.names)
    texts = [_text(value, columns.text, row) for row, value in enumerate(found[columns.text])]
    if columns.text2:
        second = [_text(value, columns.text2, row) for row, value in enumerate(found[columns.text2])]
        texts = [joined(*pair) for pair in zip(texts, second, strict=True)]
    else:
        texts = [single(text) for text in texts]
    if not texts:
        raise DataError("there are no rows; expected at least one text with its label")
    return Rows(texts, [_plain(value) for value in found[columns.label]])


def _columns(data: Any, names: Iterable[str]) -> dict[str, list[Any]]:
    if isinstance(data, str | bytes | Mapping):
        raise DataError(
            f"data is a {type(data).__name__}; expected a list of dicts, a Dataset or a DataFrame. Where it holds "
            "several splits, take one of them, such as data['train']"
        )
    known: Any = getattr(data, "column_names", None) or getattr(data, "columns", None)
    by_column = known is not None and not callable(known) and hasattr(data, "__getitem__")
    if by_column:
        _require(names, [str(name) for name in known])
        return {name: list(data[name]) for name in names}
    rows = list(data)
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"row {index} is a {type(row).__name__}; expected a dict with {_listed(names)}")
        _require(names, [str(name) for name in row], f"row {index}")
    return {name: [row[name] for row in rows] for name in names}


def _require(names: Iterable[str], known: Sequence[str], where: str = "data") -> None:
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(
            f"{where} has no column {_listed(missing)}; it has {_listed(known)}. "
            "Say which is which with columns=(text, label)"
        )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "") or "none"


def _text(value: Any, column: str, row: int) -> str:
    if not isinstance(value, str):
        raise DataError(f"row {row} of column {column} is {value!r}; expected a string")
    return value


def _plain(value: Any) -> Any:
    """A label as Python's own number or list, whatever library made it; None where there is none."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float) and math.isnan(value):
        return None
    return value


@dataclass(frozen=True)
class Labels:
    """Labels of several row sets under one task.

    Attributes:
        task: what they are; its names are LABEL_0 and so on, as transformers calls labels without names.
        splits: the row sets with their labels, int64, −1 where there is none.
    """

    task: Task
    splits: tuple[Split, ...]


def understand(*rows: Rows, is_pair: bool = False) -> Labels:
    """What the labels of the first row set ask for, and the labels of all under that task.

    Args:
        rows: the training rows first.
        is_pair: whether the texts are pairs.

    Raises:
        DataError: labels that are no numbers, do not fit together, or say nothing.
    """
    kind = _kind(rows[0].labels)
    values = [_values(one.labels, kind) for one in rows]
    if kind == "single-label":
        labels, task = _classes(values)
    else:
        labels, task = _answers(values, kind)
    splits = (Split(one.texts, found) for one, found in zip(rows, labels, strict=True))
    return Labels(replace(task, is_pair=is_pair), tuple(splits))


def _kind(labels: Sequence[Any]) -> TaskKind:
    known = [label for label in labels if label is not None]
    if not known:
        raise DataError("no row has a label; expected numbers, or lists of 0 and 1")
    if any(isinstance(label, list) for label in known):
        return "multi-label"
    for label in known:
        if not isinstance(label, int | float):
            raise DataError(
                f"labels are {type(label).__name__}s such as {label!r}; expected whole numbers from 0 on for classes, "
                "other numbers for regression, or lists of 0 and 1. stepdown.distill takes labels by name"
            )
    return "single-label" if all(float(label).is_integer() for label in known) else "regression"


def _values(labels: Sequence[Any], kind: TaskKind) -> NDArray[np.float32]:
    """Labels as numbers, float32 [n, width], NaN where there is none."""
    width = next((len(label) for label in labels if isinstance(label, list)), 1)
    rows = []
    for row, label in enumerate(labels):
        values = label if isinstance(label, list) else [math.nan if label is None else label] * width
        is_list = kind == "multi-label" if label is None else isinstance(label, list)
        if len(values) != width or is_list != (kind == "multi-label"):
            raise DataError(f"the label of row {row} is {label!r}; the first one is {labels[0]!r}")
        rows.append(values)
    try:
        found = np.array(rows, np.float32).reshape(len(rows), width)
    except (TypeError, ValueError) as error:
        raise DataError(f"labels must be numbers: {error}") from error
    if kind == "multi-label" and width < 2:
        raise DataError("labels are lists of one number; expected the numbers themselves, or longer lists")
    if kind == "multi-label" and not bool((np.isnan(found) | ((found >= 0) & (found <= 1))).all()):
        raise DataError(
            "a label that is a list holds 1 for what applies, 0 for what does not, or a share between"
        )
    return found


def _classes(values: Sequence[NDArray[np.float32]]) -> tuple[list[NDArray[np.int64]], Task]:
    numbers = [np.nan_to_num(one[:, 0], nan=-1) for one in values]
    labels = [one.astype(np.int64) for one in numbers]
    present = np.unique(labels[0][labels[0] >= 0]).tolist()
    if not present:
        raise DataError("no training text has a label; expected whole numbers from 0 on")
    others = {label for one in numbers for label in np.unique(one).tolist()} - {-1, *present}
    if present != list(range(len(present))) or others:
        found = _listed(f"{label:g}" for label in sorted({*present, *others}))
        raise DataError(
            f"labels are {found}; expected every whole number from 0 on to occur in the training data, and no others "
            "(−1 or None for a text without a label)"
        )
    if len(present) < 2:
        raise DataError(f"all labels are {present[0]}; expected at least two different ones")
    return labels, Task.of_classes(names(len(present)))


def _answers(values: Sequence[NDArray[np.float32]], kind: TaskKind) -> tuple[list[NDArray[np.int64]], Task]:
    """Labels as an index into the different answers that occur."""
    together = np.concatenate(values)
    known = ~np.isnan(together).any(axis=1)
    answers, index = np.unique(together[known], axis=0, return_inverse=True)
    labels = np.full(len(together), -1, np.int64)
    labels[known] = index.reshape(-1)
    starts = np.cumsum([len(one) for one in values])[:-1]
    return np.split(labels, starts), Task(kind, names(together.shape[1]), answers)


def names(count: int) -> tuple[str, ...]:
    """What transformers calls labels without names."""
    return tuple(f"LABEL_{index}" for index in range(count))
