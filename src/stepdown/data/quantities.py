"""Labels as numbers to be predicted: regression."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from stepdown.data.labels import NUMBER, Inferred, Met
from stepdown.data.task import Task
from stepdown.errors import DataError
from stepdown.tasks import TaskKind

KIND: TaskKind = "regression"

# Different numbers, some of them fractions, from which on they are a quantity and no classes.
_MANY_FRACTIONS = 20

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_LARGEST = float(np.finfo(np.float32).max)


def look_like_numbers(said: Sequence[str]) -> bool:
    """Whether labels are a quantity: many different numbers, some of them fractions, and little else."""
    numbers = {float(value) for value in said if NUMBER.fullmatch(value)}
    some_fractions = any(not number.is_integer() for number in numbers)
    return some_fractions and len(numbers) > _MANY_FRACTIONS and len(numbers) * 2 > len(said)


def as_numbers(met: Met, said: Sequence[str]) -> Inferred:
    """The numbers that the labels are.

    A validation or test split of nothing but −1, which train lacks, has no labels: so the hub marks them.

    Args:
        met: the labels.
        said: the same as plain strings.

    Raises:
        DataError: one of them is no number or not finite, or train has the same in every row.
    """
    numbers = [number_of(value, met.where(at), met.columns.label[0]) for at, value in enumerate(said)]
    in_train = {numbers[at] for at in np.flatnonzero(met.counts("train")).tolist()}
    if len(in_train) < 2:
        raise DataError(
            f"{met.place} holds the same number in every row of train, {next(iter(in_train)):g}. "
            f"Expected different numbers to predict."
        )
    task, answer_of = task_of(met.columns.label[0], numbers, is_pair=met.is_pair)
    inferred = met.inferred(task, answer_of)
    if -1.0 not in in_train and -1.0 in numbers:
        for labels in inferred.labels.values():
            if (task.truth(labels)[labels >= 0] == -1.0).all():
                labels[:] = -1
    return inferred


def task_of(name: str, numbers: Sequence[float], *, is_pair: bool) -> tuple[Task, list[int]]:
    """The task of predicting numbers of that name, and the answer that each of some numbers is."""
    answers, answer_of = np.unique(np.array(numbers, np.float32), return_inverse=True)
    return Task(KIND, (name,), answers[:, None], is_pair), answer_of.tolist()


def number_of(said: str, where: str, column: str) -> float:
    """A label as a number, rounded to float32.

    Args:
        said: the label.
        where: file and row, as messages begin.
        column: of the label.

    Raises:
        DataError: it is none, or is infinite or larger than float32 holds.
    """
    if said.casefold().lstrip("+-") in ("inf", "infinity") or (
        _NUMBER.fullmatch(said) and abs(float(said)) > _LARGEST
    ):
        raise DataError(f"{where}: {column!r} holds {said[:40]!r}, expected a finite number.")
    if not _NUMBER.fullmatch(said):
        hint = " Decimals are written with a point." if re.fullmatch(r"[-+]?\d+,\d+", said) else ""
        raise DataError(f"{where}: {column!r} holds {said[:40]!r}, expected a number.{hint}")
    return float(np.float32(said))
