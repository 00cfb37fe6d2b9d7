"""The rows of all splits of a source, and what their labels mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stepdown.data import columns as reading
from stepdown.data.choose import Columns, choose
from stepdown.data.columns import Rows, Values
from stepdown.data.infer import infer
from stepdown.data.labels import Inferred, Met
from stepdown.data.model_labels import by_names
from stepdown.data.names import names_of
from stepdown.data.read import Found
from stepdown.data.score_forms import task_of
from stepdown.data.scores import ScoreReader
from stepdown.data.table import Table, listing
from stepdown.data.task import Task
from stepdown.errors import DataError
from stepdown.tasks import TaskKind


@dataclass(frozen=True)
class Stated:
    """What is said of the labels beside the data.

    Attributes:
        label_names: the user's, in order; they must fit.
        kind: of the task, where the user says it.
        scores: reads what a teacher said of the texts, where that is asked for; it names the labels where no text of
            train has one.
        task: what the teacher is for, asked of it where no text of train has a label and there are no scores, with
            whether texts are pairs; None where nobody can be asked.
    """

    label_names: Sequence[str] | None = None
    kind: TaskKind | None = None
    scores: ScoreReader | None = None
    task: Callable[[bool], Task] | None = None


def choose_columns(
    found: Found,
    text: Sequence[str],
    label: Sequence[str] | None,
    separator: str | None = None,
    scores: Sequence[str] = (),
) -> Columns:
    """The text and the label columns of a source.

    Args:
        found: the source.
        text: columns, if named.
        label: columns, if named; empty where there are none; None to tell them.
        separator: what parts the labels of one cell.
        scores: columns that hold what a teacher said, and no labels.

    Raises:
        DataError: they cannot be told.
    """
    if label is not None and not label:
        return Columns(tuple(text), ())
    if not label and text:
        # Of files of texts alone, for which the teacher says what it takes them for.
        others = [table for table in found.tables.values() if set(table.columns) - {*text, *scores}]
        if not others:
            return Columns(tuple(text), ())
        return choose(others[0], text, (), separator, scores)
    return choose(found.tables["train"], text, label or (), separator, scores)


def understand(
    found: Found, columns: Columns, said: Stated | None = None
) -> tuple[dict[str, Rows], Inferred, list[str]]:
    """The rows of all splits, what their labels mean, and what a user might want to know.

    A validation or test split whose label column is missing or empty counts as none, and is not among the splits. Where
    no text of train has a label, the teacher says what labels there are.

    Raises:
        DataError: a row cannot be read, the labels do not fit together, or there are none and nobody names them.
        ModelError: there are none, and the teacher does not know any either.
    """
    said = said or Stated()
    notes = [*found.notes, *(note for table in found.tables.values() for note in table.notes)]
    if columns.guessed:
        texts, labels = listing(columns.text), listing(columns.label)
        notes.append(f"The columns were guessed: the text is in {texts}, the label in {labels}.")
    values = Values()
    splits: dict[str, Rows] = {}
    for split, table in found.tables.items():
        own = columns
        if not set(columns.label) & set(table.columns):
            if split != "train":
                what = f"column {listing(columns.label)}" if columns.label else "labels"
                notes.append(f"{split} has no {what}, so it counts as no {split} split.")
                continue
            if any(set(columns.label) <= set(other.columns) for other in found.tables.values()):
                own = replace(columns, label=())
        splits[split] = reading.rows(table, own, values, _scores_in(table, split, said.scores, notes))
    if columns.separator is not None and any(rows.unlabeled for rows in splits.values()):
        notes.append("An empty cell is a label that is not known; where no label applies, write [].")
    with_labels = (table for table in found.tables.values() if set(columns.label) <= set(table.columns))
    known = names_of(found, next(with_labels, found.tables["train"]), columns)
    met = Met(splits, list(values.numbers), columns)
    if set(met.in_train()) <= {"-1"} and (said.scores or said.task):
        inferred = _of_teacher(met, known, said)
    elif columns.label:
        inferred = infer(
            splits,
            values,
            columns=columns,
            kind=said.kind,
            label_names=said.label_names,
            known_names=known,
        )
    else:
        raise DataError(f"{splits['train'].name}: no column holds a label. Name it with label = …")
    for split in [name for name in splits if name != "train"]:
        if (inferred.labels[split] < 0).all():
            notes.append(f"No row of {split} has a label, so it counts as no {split} split.")
            del splits[split]
    return splits, inferred, [*notes, *inferred.notes]


def _scores_in(table: Table, split: str, scores: ScoreReader | None, notes: list[str]) -> ScoreReader | None:
    """The reader of scores, if the table has them; train must."""
    if scores is None or split == "train":
        return scores
    missing = [column for column in scores.columns if column not in table.columns]
    if missing:
        notes.append(f"{split} has no scores of the teacher, for lack of {listing(missing, 3)}.")
        return None
    return scores


def _of_teacher(met: Met, own_names: Sequence[str] | None, said: Stated) -> Inferred:
    """What the labels mean where no text of train has one: the teacher's are the labels."""
    train = met.splits["train"]
    if said.scores is not None:
        assert train.scores is not None, "train is read with its scores"
        task = task_of(
            train.scores,
            said.scores.names,
            label_names=said.label_names,
            kind=said.kind,
            is_pair=met.is_pair,
            place=train.name,
        )
    else:
        assert said.task is not None, "somebody is there to ask"
        task = said.task(met.is_pair)
    inferred = by_names(met, task.kind, task.label_names, own_names)
    what = "a number" if task.kind == "regression" else "labels"
    names = "" if task.kind == "regression" else f": {listing(task.label_names, 8)}"
    note = f"{train.name}: no text has a label. What is predicted are the teacher's {what}{names}."
    return replace(inferred, notes=(note, *inferred.notes))
