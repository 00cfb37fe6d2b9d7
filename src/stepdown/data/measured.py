"""Labelled texts to measure a finished model on, with its labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stepdown.data import columns as reading
from stepdown.data import read
from stepdown.data.choose import Columns, choose, guess_separator
from stepdown.data.columns import Values
from stepdown.data.dataset import Split
from stepdown.data.labels import Met
from stepdown.data.model_labels import by_names
from stepdown.data.names import names_of
from stepdown.data.table import Table, listing
from stepdown.data.task import Task
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
    inferred = by_names(met, kind, label_names, names_of(found, table, columns))
    task, labels = inferred.task, inferred.labels["train"]
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
