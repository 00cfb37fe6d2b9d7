"""Labels as sets: any number of them for each text, none included."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stepdown.data.choose import SWITCHES
from stepdown.data.labels import NUMBER, Inferred, Met, check_labels, named
from stepdown.data.table import listing
from stepdown.data.task import Task
from stepdown.errors import DataError
from stepdown.tasks import TaskKind

KIND: TaskKind = "multi-label"


def as_sets(
    met: Met,
    sets: Sequence[tuple[str, ...]],
    label_names: Sequence[str] | None = None,
    known_names: Sequence[str] | None = None,
) -> Inferred:
    """The label sets that the labels are.

    Args:
        met: the labels.
        sets: what each of them says, in any order.
        label_names: the user's, in order; they must fit.
        known_names: those that came with the data, in order; used if they fit.

    Raises:
        DataError: there are fewer than two labels, or every row of train has the same ones, or a split has a label
            that train lacks, or names do not fit.
    """
    by_place = named_by_place(sets)
    if by_place is not sets:
        sets = by_place
        met.notes.append(f"{met.place} holds lists of 0 and 1: each place in them was read as a label.")
    in_train = [sets[at] for at in np.flatnonzero(met.counts("train")).tolist()]
    found = {label for one in in_train for label in one}
    idle = [column for column in met.columns.label if column not in found]
    if idle and len(met.columns.label) > 1:
        raise DataError(
            f"{met.splits['train'].name}: the label column {idle[0]!r} is 0 in every row of train: there is nothing "
            f"to learn of it. Take it out of label."
        )
    if len(found) < 2:
        only = f"only {next(iter(found))!r}" if found else "no label that applies to a text"
        raise DataError(f"{met.place} holds {only}. Expected at least two labels.")
    if len({frozenset(one) for one in in_train}) < 2:
        raise DataError(f"{met.place}: every row of train has the same labels, {listing(sorted(found))}.")
    check_labels(sorted(found), int(met.counts("train").sum()), met.place)
    names = _named(met, found, sets, label_names, known_names)
    strange = {at: [label for label in one if label not in names] for at, one in enumerate(sets)}
    met.check_known({at: labels[0] for at, labels in strange.items() if labels}, list(names))
    if all(len(set(one)) == 1 for one in in_train):
        met.notes.append(
            f"{met.place}: every row of train has exactly one label. If that is so of every text, a column of single "
            f"labels, without lists and separator, makes the task single-label, which is easier to learn."
        )
    task, answer_of = task_of(tuple(names.values()), list(names), sets, is_pair=met.is_pair)
    return met.inferred(task, answer_of)


def task_of(
    label_names: tuple[str, ...], labels: Sequence[str], sets: Sequence[tuple[str, ...]], *, is_pair: bool
) -> tuple[Task, list[int]]:
    """The task of predicting label sets, and the answer that each set is.

    Args:
        label_names: of the outputs.
        labels: of the outputs, as the sets have them.
        sets: of these labels.
        is_pair: texts are pairs.
    """
    place = {label: at for at, label in enumerate(labels)}
    rows = np.zeros((len(sets), len(labels)), np.float32)
    for at, one in enumerate(sets):
        rows[at, [place[label] for label in one]] = 1
    answers, answer_of = np.unique(rows, axis=0, return_inverse=True)
    return Task(KIND, label_names, answers, is_pair), answer_of.reshape(-1).tolist()


def _named(
    met: Met,
    found: set[str],
    sets: Sequence[tuple[str, ...]],
    label_names: Sequence[str] | None,
    known_names: Sequence[str] | None,
) -> dict[str, str]:
    columns = met.columns.label
    if len(columns) == 1:
        numeric = all(NUMBER.fullmatch(label) for one in sets for label in one)
        ordered = sorted(found, key=float) if numeric else sorted(found)
        return named(ordered, numeric, label_names, known_names, met.place, met.notes)
    if label_names is not None and len(label_names) == len(columns) and not set(label_names) & set(columns):
        return dict(zip(columns, label_names, strict=True))
    return named(columns, False, label_names, None, met.place, met.notes)


def named_by_place(sets: Sequence[tuple[str, ...]]) -> Sequence[tuple[str, ...]]:
    """Lists that say of every label in turn whether it applies, as lists of the numbers of those that do.

    Any others are returned as they are: they name the labels. What tells the two apart is that the former are of one
    length, hold 0 and 1 alone, and repeat them.
    """
    if (
        len({len(one) for one in sets}) != 1
        or not all(label.casefold() in SWITCHES for one in sets for label in one)
        or not any(len(set(one)) < len(one) for one in sets)
    ):
        return sets
    return [tuple(str(at) for at, one in enumerate(row) if SWITCHES[one.casefold()]) for row in sets]
