"""The user's data, read, understood and cut: what `stepdown.data.load` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stepdown.data import columns as reading
from stepdown.data import read
from stepdown.data.choose import Columns, choose
from stepdown.data.columns import Rows, Values
from stepdown.data.dataset import Dataset, Split, Task
from stepdown.data.facts import Conflicts, Facts, Lengths, Removed, SplitFacts, Spread
from stepdown.data.held_out import Part, Story
from stepdown.data.infer import Inferred, infer
from stepdown.data.names import names_of
from stepdown.data.read import Found
from stepdown.data.split import cut, overlap_between
from stepdown.data.strata import Strata
from stepdown.data.table import listing
from stepdown.recipe import DataSpec
from stepdown.tasks import TaskKind
from stepdown.tasks import parts as text_parts

_EXAMPLES = 3  # of texts with several labels
_PAIRS = (("train", "selection"), ("train", "report"), ("selection", "report"))


def load(spec: DataSpec, seed: int) -> Dataset:
    """The data that a recipe names, with a train, a selection and a report split.

    The same files, recipe and seed give the same splits on any machine.

    Raises:
        DataError: anything in it that cannot be used, with the file, the row or the column.
        HubError: a hub or package index did not deliver.
        StoreError: no room or no permission in a cache.
    """
    found = read.find(spec.source, spec.train, spec.validation, spec.test)
    columns = choose(found.tables["train"], spec.text, spec.label or (), spec.label_separator)
    splits, inferred, notes = understand(found, columns, spec.label_names, spec.task)
    task = inferred.task
    labelled, unlabeled, dropped = _labelled(splits, inferred, notes)
    if spec.max_rows is not None and len(labelled["train"]) > spec.max_rows:
        notes.append(
            f"max_rows: {spec.max_rows:,} of {len(labelled['train']):,} labelled rows of train are drawn."
        )
        drawn = np.random.default_rng(seed).permutation(len(labelled["train"]))[: spec.max_rows]
        labelled["train"] = labelled["train"].take(np.sort(drawn))
    made = cut(
        labelled["train"],
        labelled.get("validation"),
        labelled.get("test"),
        strata=Strata.of(task, labelled["train"].labels),
        selection_fraction=spec.selection_fraction,
        report_fraction=spec.report_fraction,
        seed=seed,
    )
    parts = {"train": made.train, "selection": made.selection, "report": made.report}
    made.story.removed.update(unlabeled=dropped, blank=sum(rows.blank for rows in splits.values()))
    overlaps = [overlap_between(first, parts[first], second, parts[second]) for first, second in _PAIRS]
    facts = Facts(
        source=spec.source or listing([place for place in (spec.train, spec.validation, spec.test) if place]),
        text_column=", ".join(columns.text),
        label_column=", ".join(columns.label),
        task=task.kind,
        label_names=task.label_names,
        splits={name: _split_facts(name, part, task, made.story) for name, part in parts.items()},
        unlabeled=len(unlabeled),
        shortened=sum(rows.shortened for rows in splits.values()),
        removed=Removed(**made.story.removed),
        conflicts=_conflicts(made.train, task),
        overlaps=tuple(overlap for overlap in overlaps if overlap is not None),
        notes=(*notes, *made.story.notes),
    )
    return Dataset(task, made.train.split, made.selection.split, made.report.split, unlabeled, facts)


def understand(
    found: Found, columns: Columns, label_names: Sequence[str] | None, kind: TaskKind | None = None
) -> tuple[dict[str, Rows], Inferred, list[str]]:
    """The rows of all splits, what their labels mean, and what a user might want to know.

    A validation or test split whose label column is missing or empty counts as none, and is not among the splits.

    Raises:
        DataError: as `load`.
    """
    notes = [*found.notes, *(note for table in found.tables.values() for note in table.notes)]
    if columns.guessed:
        texts, labels = listing(columns.text), listing(columns.label)
        notes.append(f"The columns were guessed: the text is in {texts}, the label in {labels}.")
    values = Values()
    splits: dict[str, Rows] = {}
    for split, table in found.tables.items():
        missing = [column for column in columns.label if column not in table.columns]
        if split != "train" and len(missing) == len(columns.label):
            notes.append(f"{split} has no column {listing(missing)}, so it counts as no {split} split.")
            continue
        splits[split] = reading.rows(table, columns, values)
    if columns.separator is not None and any(rows.unlabeled for rows in splits.values()):
        notes.append("An empty cell is a label that is not known; where no label applies, write [].")
    known = names_of(found, found.tables["train"], columns)
    inferred = infer(splits, values, columns=columns, kind=kind, label_names=label_names, known_names=known)
    for split in [name for name in splits if name != "train"]:
        if (inferred.labels[split] < 0).all():
            notes.append(f"No row of {split} has a label, so it counts as no {split} split.")
            del splits[split]
    return splits, inferred, [*notes, *inferred.notes]


def _labelled(
    splits: Mapping[str, Rows], inferred: Inferred, notes: list[str]
) -> tuple[dict[str, Split], list[str], int]:
    """The labelled rows of each split, train's texts without a label, and how many such the others had."""
    labelled: dict[str, Split] = {}
    unlabeled: list[str] = []
    dropped = 0
    for split, rows in splits.items():
        labels = inferred.labels[split]
        bare = np.flatnonzero(labels < 0)
        labelled[split] = Split(rows.texts, labels).take(np.flatnonzero(labels >= 0))
        if split == "train":
            unlabeled = [rows.texts[row] for row in bare.tolist()]
        else:
            dropped += len(bare)
        if len(bare):
            have = "1 row has" if len(bare) == 1 else f"{len(bare):,} rows have"
            where = f" (the first is row {rows.unlabeled[1]:,})" if rows.unlabeled is not None else ""
            use = "they serve as text for the teacher to label" if split == "train" else "they are left out"
            notes.append(f"{rows.name}: {have} no label{where}: {use}.")
    return labelled, unlabeled, dropped


def _split_facts(name: str, part: Part, task: Task, story: Story) -> SplitFacts:
    answers, words = task.answers[part.split.labels], Lengths.of(part.words.lengths)
    origin, given = story.origins[name], story.given.get(name)
    if task.kind == "regression":
        return SplitFacts(len(part), {}, words, origin, values=Spread.of(answers[:, 0]), given=given)
    counts = dict(zip(task.label_names, answers.sum(axis=0).astype(int).tolist(), strict=True))
    without = int((answers.sum(axis=1) == 0).sum())
    return SplitFacts(len(part), counts, words, origin, without=without, given=given)


def _conflicts(part: Part, task: Task) -> Conflicts:
    """Texts that are equal after normalisation and have different labels."""
    keys, labels = part.words.whole, part.split.labels
    order = np.lexsort((labels, keys))
    starts = np.flatnonzero(np.r_[True, keys[order][1:] != keys[order][:-1]])
    ends = np.r_[starts[1:], len(order)]
    # Sorted by label within a text: its labels differ if the first and the last do.
    several = labels[order[starts]] != labels[order[ends - 1]]
    examples = []
    for start, end in zip(starts[several][:_EXAMPLES], ends[several][:_EXAMPLES], strict=True):
        rows: NDArray[np.int64] = order[start:end]
        said = tuple(task.said(label) for label in np.unique(labels[rows]).tolist())
        examples.append((" | ".join(text_parts(part.split.texts[int(rows[0])])), said))
    return Conflicts(int(several.sum()), int((ends - starts)[several].sum()), tuple(examples))
