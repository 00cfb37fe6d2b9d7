"""The user's data, read, understood and cut: what `stepdown.data.load` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepdown.data import read
from stepdown.data.columns import Rows
from stepdown.data.dataset import Dataset, Split
from stepdown.data.facts import Conflicts, Facts, Lengths, Removed, SplitFacts, Spread
from stepdown.data.held_out import Part, Story
from stepdown.data.labels import Inferred
from stepdown.data.scores import ScoreReader, columns_of
from stepdown.data.soft_labels import SoftLabels, Wanted, gathered
from stepdown.data.split import cut, overlap_between
from stepdown.data.strata import Strata
from stepdown.data.table import listing
from stepdown.data.task import Task
from stepdown.data.understand import Stated, choose_columns, understand
from stepdown.errors import DataError
from stepdown.recipe import DataSpec
from stepdown.tasks import parts as text_parts

_EXAMPLES = 3  # of texts with several labels
_PAIRS = (("train", "selection"), ("train", "report"), ("selection", "report"))


@dataclass(frozen=True)
class FromTeacher:
    """What the teacher has to do with the data.

    Attributes:
        soft: the columns in which what it said of the texts stands; None where it can be asked.
        task: what it is for, asked of it where no text of train has a label, with whether texts are pairs; None where
            nobody can be asked.
    """

    soft: Wanted | None = None
    task: Callable[[bool], Task] | None = None


def load(spec: DataSpec, seed: int, teacher: FromTeacher | None = None) -> Dataset:
    """The data that a recipe names, with a train, a selection and a report split.

    The same files, recipe and seed give the same splits on any machine.

    Args:
        spec: what the recipe says of the data.
        seed: of the cuts.
        teacher: what it has to do with them; None for nothing, and then train must have labels.

    Raises:
        DataError: anything in the data that cannot be used, with the file, the row or the column.
        ModelError: no text of train has a label, and the teacher does not know any either.
        HubError: a hub or package index did not deliver.
        StoreError: no room or no permission in a cache.
    """
    teacher = teacher or FromTeacher()
    wanted = teacher.soft
    found = read.find(spec.source, spec.train, spec.validation, spec.test)
    holding, names = columns_of(found.tables["train"], wanted.columns) if wanted else ((), ())
    columns = choose_columns(found, spec.text, spec.label, spec.label_separator, holding)
    reader = ScoreReader(holding, names) if wanted else None
    splits, inferred, notes = understand(
        found, columns, Stated(spec.label_names, spec.task, reader, teacher.task)
    )
    task = inferred.task
    soft: SoftLabels | None = None
    scored: NDArray[np.bool_] | None = None
    if wanted is not None and reader is not None:
        soft, scored = gathered(splits, reader, task, wanted.form, notes)
    kept, unlabeled, removed = _kept(splits, inferred, scored, notes)
    if spec.max_rows is not None and len(kept["train"]) > spec.max_rows:
        what = "labelled rows" if kept["train"].is_labelled else "rows"
        notes.append(f"max_rows: {spec.max_rows:,} of {len(kept['train']):,} {what} of train are drawn.")
        drawn = np.random.default_rng(seed).permutation(len(kept["train"]))[: spec.max_rows]
        kept["train"] = kept["train"].take(np.sort(drawn))
    made = cut(
        kept["train"],
        kept.get("validation"),
        kept.get("test"),
        strata=Strata.of(task, kept["train"].labels),
        selection_fraction=spec.selection_fraction,
        report_fraction=spec.report_fraction,
        seed=seed,
    )
    parts = {"train": made.train, "selection": made.selection, "report": made.report}
    made.story.removed.update(removed)
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
    return Dataset(task, made.train.split, made.selection.split, made.report.split, unlabeled, facts, soft)


def _kept(
    splits: Mapping[str, Rows], inferred: Inferred, scored: NDArray[np.bool_] | None, notes: list[str]
) -> tuple[dict[str, Split], list[str], dict[str, int]]:
    """The labelled rows of each split, train's texts without a label, and how many rows were left out, by reason.

    Where no row of train has a label, they are all kept as they are; of a teacher that is not at hand nothing can be
    learnt of rows that it did not score.

    Args:
        splits: as read.
        inferred: their labels.
        scored: which rows of train a teacher that is not at hand has scored; None for one that can be asked.
        notes: grows.
    """
    kept: dict[str, Split] = {}
    unlabeled: list[str] = []
    removed = {"unlabeled": 0, "blank": sum(rows.blank for rows in splits.values()), "unscored": 0}
    for split, rows in splits.items():
        whole = Split(rows.texts, inferred.labels[split])
        if split == "train" and scored is not None:
            removed["unscored"] = int((~scored).sum())
            whole = _scored(rows, whole, scored)
        has_label = whole.labels >= 0
        kept[split] = whole.take(np.flatnonzero(has_label))
        bare = int((~has_label).sum())
        if split != "train":
            removed["unlabeled"] += bare
        elif not has_label.any():
            kept[split] = whole
            continue
        else:
            unlabeled = [whole.texts[row] for row in np.flatnonzero(~has_label).tolist()]
        if bare:
            have = "1 row has" if bare == 1 else f"{bare:,} rows have"
            where = f" (the first is row {rows.unlabeled[1]:,})" if rows.unlabeled is not None else ""
            use = "they serve as text for the teacher to label" if split == "train" else "they are left out"
            notes.append(f"{rows.name}: {have} no label{where}: {use}.")
    return kept, unlabeled, removed


def _scored(rows: Rows, whole: Split, scored: NDArray[np.bool_]) -> Split:
    """The rows of train that a teacher has scored. Raises DataError if these have no labels, and others have."""
    left = whole.take(np.flatnonzero(scored))
    if whole.is_labelled and not left.is_labelled:
        raise DataError(
            f"{rows.name}: none of its {int((whole.labels >= 0).sum()):,} labelled rows has scores of the teacher, "
            "which others have. Add theirs, or let them measure what is learnt from the others: move them to a file of "
            "their own, and name it as validation."
        )
    return left


def _split_facts(name: str, part: Part, task: Task, story: Story) -> SplitFacts:
    words, origin, given = Lengths.of(part.words.lengths), story.origins[name], story.given.get(name)
    if not part.split.is_labelled:
        return SplitFacts(len(part), {}, words, origin, given=given)
    answers = task.answers[part.split.labels]
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
