"""Ready soft labels: what a teacher that is not at hand said of the user's texts, found by text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepdown import store
from stepdown.data import columns as reading
from stepdown.data.columns import Rows
from stepdown.data.score_forms import ScoreForm, understood
from stepdown.data.scores import ScoreReader
from stepdown.data.table import Table, listing
from stepdown.data.task import Task
from stepdown.recipe import Scores


@dataclass(frozen=True)
class Wanted:
    """Which soft labels a recipe asks for.

    Attributes:
        columns: of the scores, or one pattern with a `*`.
        form: what the scores are, where the user says it.
    """

    columns: tuple[str, ...]
    form: Scores | None = None


class SoftLabels:
    """What was said of the texts of a data set and of its transfer set: gathered while they are read, then closed.

    They lie on disk, by the texts' hashes, so that millions of them take no memory.
    """

    def __init__(self, reader: ScoreReader, form: ScoreForm, outputs: int) -> None:
        """Take up scores as a reader reads them, of a form that is known, for so many outputs."""
        self.reader = reader
        self.form = form
        self._said = store.Lookup(outputs)

    @property
    def description(self) -> str:
        """What they are, in a few words for people."""
        many = "column" if len(self.reader.columns) == 1 else "columns"
        return f"ready soft labels in the {many} {listing(self.reader.columns, 3)}"

    @property
    def digest(self) -> str:
        """Of all of them, once they are closed."""
        return self._said.digest

    @property
    def contradicted(self) -> int:
        """Texts that are there again with other scores, of which the first count; known once they are closed."""
        return self._said.contradicted

    def add(self, texts: Sequence[str], outputs: NDArray[np.float32]) -> None:
        """Take in what was said of some texts, [n, outputs], but for rows of NaN.

        Raises:
            StoreError: the disk of the cache is full or fails.
        """
        rows = np.flatnonzero(~np.isnan(outputs).any(axis=1))
        self._said.add([texts[row] for row in rows.tolist()], outputs[rows])

    def texts_of(self, table: Table, text: Sequence[str]) -> Iterator[tuple[list[str], int]]:
        """The texts of a table that have scores, block by block, which are taken in; and how many had none.

        Raises:
            DataError: it has no such columns, or a row cannot be read.
            StoreError: as `add`.
        """
        for texts, scores in reading.scored_texts(table, text, self.reader):
            outputs = self.form.outputs(scores, table.name)
            self.add(texts, outputs)
            has = ~np.isnan(outputs).any(axis=1)
            yield [texts[row] for row in np.flatnonzero(has).tolist()], int((~has).sum())

    def close(self) -> None:
        """Nothing more comes in. Raises StoreError as `add`."""
        self._said.close()

    def of(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """What was said of texts, float32 [n, outputs]; NaN where nothing was."""
        return self._said.of(texts)


def gathered(
    splits: Mapping[str, Rows], reader: ScoreReader, task: Task, form: Scores | None, notes: list[str]
) -> tuple[SoftLabels, NDArray[np.bool_]]:
    """The soft labels of the texts of some splits, to which others may be added.

    Args:
        splits: as read; "train" is among them, and has scores.
        reader: by which they were read.
        task: of the labels.
        form: what the scores are, where the user says it; None to tell it by train's.
        notes: grows with what was found.

    Returns:
        The soft labels, and which rows of train have any, bool [rows].

    Raises:
        DataError: they are not as many as the labels, or mean something else than is said.
        StoreError: the disk of the cache is full or fails.
    """
    train = splits["train"]
    assert train.scores is not None, "train is read with its scores"
    columns = "column" if len(reader.columns) == 1 else "columns"
    place = f"{train.name}: the {columns} {listing(reader.columns, 4)}"
    told, more = understood(train.scores, reader.names, task, form, place)
    notes += more
    soft = SoftLabels(reader, told, len(task.label_names))
    scored = np.zeros(len(train.texts), np.bool_)
    for name, rows in splits.items():
        if rows.scores is None:
            continue
        outputs = told.outputs(rows.scores, rows.name)
        soft.add(rows.texts, outputs)
        if name == "train":
            scored[:] = np.isfinite(outputs).all(axis=1)
    return soft, scored
