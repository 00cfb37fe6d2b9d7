"""The user's data, read, understood and cut: what `stepdown.data.load` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from stepdown.data import columns as reading
from stepdown.data import read
from stepdown.data.choose import Columns, choose
from stepdown.data.columns import Rows, Values
from stepdown.data.dataset import Dataset, Split
from stepdown.data.facts import Conflicts, Facts, Lengths, Removed, SplitFacts
from stepdown.data.infer import Inferred, infer
from stepdown.data.read import Found
from stepdown.data.split import Part, cut, overlap_between
from stepdown.data.table import did_you_mean, listing
from stepdown.errors import DataError
from stepdown.recipe import DataSpec

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
    columns = choose(found.tables["train"], spec.text, spec.label or ())
    splits, inferred, notes = understand(found, columns, spec.label_names)
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
        selection_fraction=spec.selection_fraction,
        report_fraction=spec.report_fraction,
        seed=seed,
    )
    parts = {"train": made.train, "selection": made.selection, "report": made.report}
    made.story.removed.update(unlabeled=dropped, blank=sum(rows.blank for rows in splits.values()))
    overlaps = [overlap_between(first, parts[first], second, parts[second]) for first, second in _PAIRS]
    names = inferred.task.label_names
    facts = Facts(
        source=spec.source or listing([place for place in (spec.train, spec.validation, spec.test) if place]),
        text_column=columns.text,
        label_column=columns.label,
        task=inferred.task.kind,
        label_names=names,
        splits={name: _split_facts(part, names, made.story.origins[name]) for name, part in parts.items()},
        unlabeled=len(unlabeled),
        shortened=sum(rows.shortened for rows in splits.values()),
        removed=Removed(**made.story.removed),
        conflicts=_conflicts(made.train, names),
        overlaps=tuple(overlap for overlap in overlaps if overlap is not None),
        notes=(*notes, *made.story.notes),
    )
    return Dataset(inferred.task, made.train.split, made.selection.split, made.report.split, unlabeled, facts)


def understand(
    found: Found, columns: Columns, label_names: Sequence[str] | None
) -> tuple[dict[str, Rows], Inferred, list[str]]:
    """The rows of all splits, what their labels mean, and what a user might want to know.

    A validation or test split whose label column is missing or empty counts as none, and is not among the splits.

    Raises:
        DataError: as `load`.
    """
    notes = [*found.notes, *(note for table in found.tables.values() for note in table.notes)]
    if columns.guessed:
        notes.append(
            f"The columns were guessed: the text is in {columns.text!r}, the label in {columns.label!r}."
        )
    values = Values()
    splits: dict[str, Rows] = {}
    for split, table in found.tables.items():
        if split != "train" and columns.label not in table.columns:
            notes.append(f"{split} has no column {columns.label!r}, so it counts as no {split} split.")
            continue
        splits[split] = reading.rows(table, columns, values)
    known = found.tables["train"].label_names.get(columns.label) or found.label_names
    inferred = infer(splits, values, column=columns.label, label_names=label_names, known_names=known)
    for split in [name for name in splits if name != "train"]:
        if (inferred.labels[split] < 0).all():
            notes.append(f"No row of {split} has a label, so it counts as no {split} split.")
            del splits[split]
    return splits, inferred, [*notes, *inferred.notes]


def labelled_split(
    source: str, label_names: Sequence[str], text: Sequence[str] = (), label: Sequence[str] = ()
) -> tuple[str, Split]:
    """Labelled texts to measure a model on: the test split of a source, else validation, else all there is.

    Args:
        source: file, folder, hub id or built-in.
        label_names: of the model; the data's labels are these names, or numbers of them from 0.
        text: the text column, if it is named.
        label: the label column, if it is named.

    Returns:
        the split's name, and its labelled rows with labels as indices into `label_names`.

    Raises:
        DataError: it cannot be read, has no labelled rows, or has a label that is not among `label_names`.
        HubError: a hub or package index did not deliver.
    """
    found = read.open_source(source)
    name = next(split for split in ("test", "validation", "train") if split in found.tables)
    table = found.tables[name]
    columns = choose(table, text, label)
    values = Values()
    rows = reading.rows(table, columns, values)
    known = _numbered(values, label_names, table.label_names.get(columns.label) or found.label_names)
    for said, number in values.numbers.items():
        if said not in known and said != "-1":
            place, row = rows.first[number]
            raise DataError(
                f"{place}: row {row:,}: the label {said!r} is none of the model's: {listing(label_names)}."
                f"{did_you_mean(said, label_names)}"
            )
    index = np.array([*(known.get(said, -1) for said in values.numbers), -1], np.int64)
    labels = index[rows.values]
    if not (labels >= 0).any():
        raise DataError(
            f"{table.name}: no row has a label in {columns.label!r}. Expected labels to measure with."
        )
    return name, Split(rows.texts, labels).take(np.flatnonzero(labels >= 0))


def _numbered(values: Values, label_names: Sequence[str], own_names: Sequence[str] | None) -> dict[str, int]:
    """Labels of a data set to numbers of a model's: by name, by the data's own names for numbers, or as numbers."""
    by_name = {name: number for number, name in enumerate(label_names)}
    said = set(values.numbers) - {"-1"}
    if said <= set(by_name):
        return by_name
    if own_names is not None and set(own_names) <= set(by_name):
        return {str(number): by_name[name] for number, name in enumerate(own_names)}
    by_number = {str(number): number for number in range(len(label_names))}
    return by_number if said <= set(by_number) else by_name


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


def _split_facts(part: Part, names: Sequence[str], origin: str) -> SplitFacts:
    counts = np.bincount(part.split.labels, minlength=len(names)).tolist()
    return SplitFacts(
        len(part), dict(zip(names, counts, strict=True)), Lengths.of(part.words.lengths), origin
    )


def _conflicts(part: Part, names: Sequence[str]) -> Conflicts:
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
        said = tuple(names[label] for label in np.unique(labels[rows]).tolist())
        examples.append((part.split.texts[int(rows[0])], said))
    return Conflicts(int(several.sum()), int((ends - starts)[several].sum()), tuple(examples))
