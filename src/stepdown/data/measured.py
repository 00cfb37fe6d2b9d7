"""Labelled texts to measure a finished model on, with its labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from stepdown.data import columns as reading
from stepdown.data import label_sets, quantities, read
from stepdown.data.choose import Columns, choose, guess_separator
from stepdown.data.columns import Values
from stepdown.data.dataset import Split, Task
from stepdown.data.infer import label_lists
from stepdown.data.labels import Met
from stepdown.data.names import names_of
from stepdown.data.table import Table, did_you_mean, listing
from stepdown.errors import DataError
from stepdown.tasks import TaskKind


def labelled_split(
    source: str,
    label_names: Sequence[str],
    text: Sequence[str] = (),
    label: Sequence[str] = (),
    *,
    kind: TaskKind = "single-label",
    separator: str | None = None,
) -> tuple[str, Split, Task]:
    """Labelled texts to measure a model on: the test split of a source, else validation, else all there is.

    Args:
        source: file, folder, hub id or built-in.
        label_names: of the model; the data's labels are these names, or numbers of them from 0. For regression they
            do not matter.
        text: the text column, or the two of a pair, if named.
        label: the label column or columns, if named; columns of the model's label names, 0 and 1 in them, are found.
        kind: of the model's task.
        separator: what parts the labels of one cell; found if it is unmistakable.

    Returns:
        the split's name; its labelled rows; and the task, whose answers their labels index and whose label names are
        the model's.

    Raises:
        DataError: it cannot be read, has no labelled rows, or has a label that is not among `label_names`, or is no
            number, as the kind may be.
        HubError: a hub or package index did not deliver.
    """
    found = read.open_source(source)
    name = next(split for split in ("test", "validation", "train") if split in found.tables)
    table = found.tables[name]
    columns = _columns(table, label_names, text, label, kind, separator)
    values = Values()
    rows = reading.rows(table, columns, values)
    met = Met({"train": rows}, list(values.numbers), columns)
    own_names = names_of(found, table, columns)
    said = [value for value in met.said if isinstance(value, str)]
    lists = label_lists(met) if met.said else []
    if kind == "multi-label":
        task, answer_of = _sets(
            met, [(one,) for one in said] if lists is None else lists, label_names, own_names
        )
    elif lists:
        raise DataError(f"{met.place} holds several labels a text, but the model's task is {kind}.")
    elif kind == "regression":
        task, answer_of = _numbers(met, said, label_names)
    else:
        task, answer_of = _classes(met, said, label_names, own_names)
    labels = met.inferred(task, answer_of).labels["train"]
    if not (labels >= 0).any():
        raise DataError(
            f"{table.name}: no row has a label in {listing(columns.label)}. Expected labels to measure with."
        )
    return name, Split(rows.texts, labels).take(np.flatnonzero(labels >= 0)), task


def _columns(
    table: Table,
    label_names: Sequence[str],
    text: Sequence[str],
    label: Sequence[str],
    kind: TaskKind,
    separator: str | None,
) -> Columns:
    if (
        kind == "multi-label"
        and not label
        and len(label_names) > 1
        and set(label_names) <= set(table.columns)
    ):
        label = label_names
    columns = choose(table, text, label, separator)
    if kind == "multi-label" and separator is None and len(columns.label) == 1:
        return replace(columns, separator=guess_separator(table, columns.label[0]))
    return columns


def _classes(
    met: Met, said: Sequence[str], label_names: Sequence[str], own_names: Sequence[str] | None
) -> tuple[Task, list[int]]:
    known = _numbered(set(said) - {"-1"}, label_names, own_names)
    for number, one in enumerate(said):
        if one not in known and one != "-1":
            raise _stranger(met, number, one, label_names)
    return Task.of_classes(label_names, is_pair=met.is_pair), [known.get(one, -1) for one in said]


def _sets(
    met: Met, sets: Sequence[tuple[str, ...]], label_names: Sequence[str], own_names: Sequence[str] | None
) -> tuple[Task, list[int]]:
    sets = label_sets.named_by_place(sets)
    known = _numbered({label for one in sets for label in one}, label_names, own_names)
    for number, one in enumerate(sets):
        for label in one:
            if label not in known:
                raise _stranger(met, number, label, label_names)
    plain = [tuple(label_names[known[label]] for label in one) for one in sets]
    return label_sets.task_of(tuple(label_names), label_names, plain, is_pair=met.is_pair)


def _numbers(met: Met, said: Sequence[str], label_names: Sequence[str]) -> tuple[Task, list[int]]:
    numbers = [quantities.number_of(one, met.where(at), met.columns.label[0]) for at, one in enumerate(said)]
    name = label_names[0] if label_names else met.columns.label[0]
    task, answer_of = quantities.task_of(name, numbers, is_pair=met.is_pair)
    # As the hub marks a split without labels.
    return task, [-1] * len(said) if set(numbers) == {-1.0} else answer_of


def _stranger(met: Met, number: int, label: str, label_names: Sequence[str]) -> DataError:
    return DataError(
        f"{met.where(number)}: the label {label!r} is none of the model's: {listing(label_names)}."
        f"{did_you_mean(label, label_names)}"
    )


def _numbered(
    said: set[str], label_names: Sequence[str], own_names: Sequence[str] | None
) -> Mapping[str, int]:
    """Labels of a data set to numbers of a model's: by name, by the data's own names for numbers, or as numbers."""
    by_name = {name: number for number, name in enumerate(label_names)}
    if said <= set(by_name):
        return by_name
    if own_names is not None and set(own_names) <= set(by_name):
        return {str(number): by_name[name] for number, name in enumerate(own_names)}
    by_number = {str(number): number for number in range(len(label_names))}
    return by_number if said <= set(by_number) else by_name
