"""What `stepdown init` finds out: the plain facts of somebody's data, from which `recipe.template` writes a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdown import assets
from stepdown.data import columns as reading
from stepdown.data import hashing, read
from stepdown.data.choose import Columns, choose, choose_texts, guess_separator
from stepdown.data.columns import Rows
from stepdown.data.table import Table, listing
from stepdown.data.task import Task
from stepdown.data.understand import Stated, understand
from stepdown.errors import DataError
from stepdown.recipe import TeacherSpec
from stepdown.recipe.schema import ARMS, Arm
from stepdown.recipe.settings import epochs_for, fine_tuning_epochs, rung_length_for, views_for
from stepdown.recipe.template import USUAL_TEACHER
from stepdown.tasks import TaskKind

# What the proposed recipe (teacher demo:minilm-l6, compact 1M and 250K, four arms) takes on two cores: 25 minutes for
# 15,000 texts of 20 words and three views each with three seeds. The teacher and its labels are two fifths and grow
# with the texts that it is fine-tuned on, their passes counted (45,000; a step takes three times as long as a label),
# and with those that it labels (60,000); students with the texts that they read, passes counted: 300,000 here. All of
# it grows with the words of a text, which is read up to about 100 words (128 tokens).
_MINUTES, _WORDS, _MOST_WORDS = 25, 20, 100
_STEP, _ASKED, _READ = 3, 3 * 45_000 + 60_000, 300_000
_SHARED, _PER_SEED = 0.4, 0.2
SEEDS = 3

_FEW_ROWS = 50  # of a class, below which its scores say little


@dataclass(frozen=True)
class Proposal:
    """What was found.

    Attributes:
        name: for the run.
        data: keys of `[data]`: source, text, label; label_separator and task where there is need.
        task: in words, such as "single-label, 2 labels".
        rows: with and without a label, in all splits.
        splits: rows with a label, by split that came with the data.
        label_names: in order; of numbers to be predicted, the column's name.
        views: of each labelled text, for the teacher to label.
        teacher: the model at the top; None where the user has to name one.
        arms: to be compared.
        rung_length: to how many tokens the students cut texts; None for as many as the teacher.
        seeds: that fit into the time.
        minutes: that a run with these seeds takes on two cores, estimated.
        notes: for the head of the recipe: what was found and what a user should know, a sentence or two each.
    """

    name: str
    data: dict[str, object]
    task: str
    rows: int
    splits: dict[str, int]
    label_names: tuple[str, ...]
    views: int
    rung_length: int | None
    seeds: int
    minutes: float
    notes: tuple[str, ...]
    teacher: str | None = USUAL_TEACHER
    arms: tuple[Arm, ...] = ARMS

    def arguments(self) -> dict[str, Any]:
        """The arguments of `recipe.template`."""
        return {
            "name": self.name,
            "data": self.data,
            "task": self.task,
            "rows": self.rows,
            "teacher": self.teacher,
            "arms": self.arms,
            "views": self.views,
            "rung_length": self.rung_length,
            "seeds": self.seeds,
            "notes": self.notes,
        }


def propose(
    source: str,
    folder: Path | None = None,
    text: Sequence[str] = (),
    label: Sequence[str] | None = (),
    teacher: str | None = None,
) -> Proposal:
    """Look at data and propose how to distil for it.

    Args:
        source: file, folder, hub id or built-in, as the command line has it.
        folder: where the recipe will be, so that a path can be written relative to it; the working folder if None.
        text: the text column, if it is known.
        label: the label column, if it is known; None where there is none, though columns might be taken for one.
        teacher: the model at the top, if it is known.

    Raises:
        DataError: the data cannot be used, or its columns cannot be told.
        HubError: a hub or package index did not deliver.
    """
    found = read.find(source)
    teacher = teacher and _written(teacher, folder)
    columns = _columns(found.tables["train"], text, label)
    if not columns.label:
        return _of_texts(source, folder, found, columns, teacher)
    if len(columns.label) == 1:
        separator = guess_separator(found.tables["train"], columns.label[0])
        columns = replace(columns, separator=separator)
    try:
        splits, inferred, notes = understand(found, columns, Stated(task=_nobody))
    except _WithoutLabels:
        return _of_texts(source, folder, found, columns, teacher)
    task = inferred.task
    labelled = {split: int((inferred.labels[split] >= 0).sum()) for split in splits}
    train = splits["train"]
    lengths = hashing.words(train.texts).lengths
    views, rung_length, seeds, minutes, reason = _sized(lengths, task.kind)
    known = inferred.labels["train"][inferred.labels["train"] >= 0]
    return Proposal(
        name=name_of(source),
        data={"source": _written(source, folder), **_described(columns, task)},
        task=_in_words(task),
        rows=sum(len(rows.texts) for rows in splits.values()),
        splits=labelled,
        label_names=task.label_names,
        views=views,
        rung_length=rung_length,
        seeds=seeds,
        minutes=minutes,
        notes=(
            *_labels(task, known, columns),
            _splits(labelled),
            _lengths(lengths, rung_length),
            *_siblings(source, splits),
            *notes,
            f"{reason}{_of_another(teacher)}",
        ),
        teacher=teacher or USUAL_TEACHER,
    )


class _WithoutLabels(Exception):  # it is caught here
    """No text of train has a label."""


def _nobody(is_pair: bool) -> Task:
    raise _WithoutLabels


def _columns(train: Table, text: Sequence[str], label: Sequence[str] | None) -> Columns:
    if label is None:
        texts = tuple(text) or choose_texts(train)
        return Columns(texts, (), guessed=() if text else texts)
    return choose(train, text, label, may_lack_labels=True)


def _of_texts(
    source: str, folder: Path | None, found: read.Found, columns: Columns, teacher: str | None
) -> Proposal:
    """What to do with texts without labels: a teacher that is fine-tuned already says what they are.

    The texts are read block by block, and not kept.
    """
    train, text = found.tables["train"], columns.text
    parts = [hashing.words(block).lengths for block in reading.only_texts(train, text) if block]
    if not parts:
        raise DataError(f"{train.name}: no rows with a text in {listing(text)}. Expected a text in each.")
    lengths = np.concatenate(parts)
    is_pair = len(text) == 2
    views, rung_length, seeds, minutes, reason = _sized(lengths, "single-label")
    measured = [split for split in found.tables if split != "train"]
    others = [name for name in train.columns if name not in text]
    what = "pairs of texts" if is_pair else "texts"
    fill_in = (
        "FILL IN [teacher].model below: a classifier that is fine-tuned already, a folder or a hub id; its labels are "
        f"what is learnt. {USUAL_TEACHER} does not serve: it has no trained head."
    )
    has = f"{teacher} must be fine-tuned already: `stepdown check` looks whether it has a trained head."
    return Proposal(
        name=name_of(source),
        data={"source": _written(source, folder), "text": list(text), "label": []},
        task=f"{what} without labels",
        rows=len(lengths),
        splits={},
        label_names=(),
        views=views,
        rung_length=rung_length,
        seeds=seeds,
        minutes=minutes,
        notes=(
            "No text has a label, so students learn what a teacher says of the texts, and what is measured is how "
            "often they agree with it. The arm direct, which learns from labels, is left out.",
            has if teacher else fill_in,
            *([f"{listing(measured)} are left aside for lack of labels in train."] if measured else []),
            *([_aside(text, others)] if others else []),
            _lengths(lengths, rung_length),
            *found.notes,
            f"{reason}{_of_another(teacher or 'yours')}",
        ),
        teacher=teacher,
        arms=tuple(arm for arm in ARMS if arm != "direct"),
    )


def _aside(text: Sequence[str], others: Sequence[str]) -> str:
    are = "is not read" if len(others) == 1 else "are not read"
    return (
        f"The text is in {listing(text)}; {listing(others)} {are}, as nothing there reads like labels. If there are "
        "labels, begin again with --label COLUMN."
    )


def _of_another(teacher: str | None) -> str:
    """Times are those of the usual teacher."""
    return (
        f" That is with {USUAL_TEACHER}; a larger teacher takes longer."
        if teacher not in (None, USUAL_TEACHER)
        else ""
    )


def _sized(lengths: NDArray[np.int64], kind: TaskKind) -> tuple[int, int | None, int, float, str]:
    """Views, length for the students, and what `fitting_seeds` says, for texts of so many words, int64 [texts]."""
    rung_length = rung_length_for(int(np.quantile(lengths, 0.95)))
    words, by_students = (
        float(np.minimum(lengths, most).mean()) for most in (_MOST_WORDS, rung_length or _MOST_WORDS)
    )
    views = views_for(len(lengths), words)
    return views, rung_length, *fitting_seeds(len(lengths), words, views, by_students, kind=kind)


def _lengths(lengths: NDArray[np.int64], rung_length: int | None) -> str:
    told = f"Texts of train: {int(np.median(lengths))} words in the median, {int(lengths.max()):,} at most."
    return f"{told}{_cut(lengths, rung_length)}"


def _described(columns: Columns, task: Task) -> dict[str, object]:
    """The columns as `[data]` names them, and what the labels make of them where it should be seen."""
    label = columns.label[0] if len(columns.label) == 1 else list(columns.label)
    described: dict[str, object] = {"text": list(columns.text), "label": label}
    if columns.separator is not None:
        described["label_separator"] = columns.separator
    if task.kind == "regression":
        described["task"] = task.kind
    return described


def _in_words(task: Task) -> str:
    what = "regression" if task.kind == "regression" else f"{task.kind}, {len(task.label_names)} labels"
    return f"{what}, of pairs of texts" if task.is_pair else what


def _labels(task: Task, labels: NDArray[np.int64], columns: Columns) -> list[str]:
    """What the labels of train are, int64 [labelled rows]."""
    answers = task.answers[labels]
    if task.kind == "regression":
        return [
            f"Numbers to be predicted: {answers.min():g} to {answers.max():g}, {answers.mean():.3g} in the mean."
        ]
    names = task.label_names
    told = [f"Labels: {listing(names)}.{_unnamed(names)}"]
    if task.kind == "multi-label":
        none = int((answers.sum(axis=1) == 0).sum())
        told.append(
            f"Labels of a text: {answers.sum(axis=1).mean():.2f} in the mean; none applies to {none:,} rows."
        )
    if columns.separator is not None:
        told.append(f"Cells hold several labels, parted by {columns.separator!r}.")
    return [*told, *_rare(names, answers.sum(axis=0))]


def _cut(lengths: NDArray[np.int64], rung_length: int | None) -> str:
    """Who reads how much of texts that are too long for the teacher, int64 [texts] words."""
    if rung_length is None:
        return ""
    share = float((lengths > _MOST_WORDS).mean())
    return (
        f" The teacher reads about the first {_MOST_WORDS} words, which cuts {share:.0%} of them "
        f"(data.max_length = 256 has it read more, in twice the time); the students read up to {rung_length:,}."
    )


def fitting_seeds(
    texts: int,
    words: float,
    views: int = 0,
    by_students: float | None = None,
    *,
    kind: TaskKind = "single-label",
) -> tuple[int, float, str]:
    """How many seeds, at most three, finish within the time that a first run should take.

    Args:
        texts: of train.
        words: mean of those that the teacher reads of a text.
        views: of each of them.
        by_students: mean of those that students read of a text; None for as many.
        kind: of task, by which the teacher's fine-tuning goes.

    Returns:
        the seeds, the minutes that they take on two cores (estimated), and both in a sentence.
    """
    learnt = texts * (1 + views)
    epochs = fine_tuning_epochs(texts, TeacherSpec.model_fields["batch_size"].default, kind)
    asked = _STEP * epochs * texts + learnt
    shared = _SHARED * asked / _ASKED
    per_seed = _PER_SEED * learnt * epochs_for(learnt) / _READ
    students = words if by_students is None else by_students
    minutes = {
        seeds: _MINUTES / _WORDS * (words * shared + students * per_seed * seeds)
        for seeds in range(1, SEEDS + 1)
    }
    seeds = max((number for number, took in minutes.items() if took <= _MINUTES), default=1)
    on = "on 2 cores, estimated (`stepdown run --dry-run` times this machine)"
    took = f"a run takes {_duration(minutes[seeds])} {on}"
    if seeds == SEEDS:
        return seeds, minutes[seeds], f"{took[0].upper()}{took[1:]}."
    plural = "seed" if seeds == 1 else "seeds"
    return (
        seeds,
        minutes[seeds],
        f"{seeds} {plural}, as {SEEDS} would take {_duration(minutes[SEEDS])}; {took}. With fewer than {SEEDS} seeds "
        f"no difference between arms is claimed: raise compare.seeds when you have the time.",
    )


def _duration(minutes: float) -> str:
    if minutes < 1.5:
        return "about a minute"
    return f"about {minutes:.0f} minutes" if minutes < 90 else f"about {minutes / 60:.0f} hours"


def name_of(source: str) -> str:
    """Of a hub id or built-in its last word, of a file or folder its name; train.csv has that of its folder."""
    if Path(source).expanduser().exists():
        path = Path(source).expanduser().resolve()
        return path.name if path.is_dir() else path.parent.name if read.split_of(path.name) else path.stem
    return source.removeprefix("demo:").split("#")[0].replace(":", "/").split("/")[-1]


def _written(source: str, folder: Path | None) -> str:
    """A source as a recipe in `folder` names it."""
    path = Path(source).expanduser()
    if assets.is_builtin(source) or not path.exists():
        return source
    start = (folder or Path()).resolve()
    whole = path.resolve()
    if not whole.is_relative_to(start):
        return str(whole)
    inside = whole.relative_to(start).as_posix()
    return f"./{inside}" if path.is_dir() and inside != "." else inside  # no hub id begins with a dot


def _splits(labelled: Mapping[str, int]) -> str:
    sizes = ", ".join(f"{split} {count:,} rows" for split, count in labelled.items())
    if len(labelled) == 1:
        return f"Splits: {sizes}; a selection and a report split are cut from it."
    if len(labelled) == 2:
        other = next(split for split in labelled if split != "train")
        return f"Splits: {sizes}; results are told on {other}, and a selection split is cut from train."
    return f"Splits: {sizes}; choices are made on validation, results are told on test."


def _unnamed(names: tuple[str, ...]) -> str:
    numbers = all(name.lstrip("-").isdigit() for name in names)
    return " They are numbers: label_names can give them names." if numbers else ""


def _rare(names: tuple[str, ...], counts: NDArray[np.float32]) -> list[str]:
    rare = [name for name, count in zip(names, counts.tolist(), strict=True) if count < _FEW_ROWS]
    if not rare:
        return []
    return [f"Fewer than {_FEW_ROWS} rows of train each: {listing(rare, 5)}. Expect little of them."]


def _siblings(source: str, splits: Mapping[str, Rows]) -> list[str]:
    """A hint where a file called train.csv was named and its test.csv lies beside it."""
    path = Path(source).expanduser()
    if not path.is_file() or len(splits) > 1 or not path.stem.lower().startswith("train"):
        return []
    others = sorted(
        other.name
        for other in path.parent.glob(f"*{path.suffix}")
        if other != path and read.split_of(other.name) in ("validation", "test")
    )
    if not others:
        return []
    return [f"Beside it there is {listing(others)}: name the folder instead of the file to use it."]
