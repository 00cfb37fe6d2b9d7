"""What `stepdown init` finds out: the plain facts of somebody's data, from which `recipe.template` writes a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdown import assets
from stepdown.data import hashing, read
from stepdown.data.choose import Columns, choose, guess_separator
from stepdown.data.columns import Rows
from stepdown.data.dataset import Task
from stepdown.data.table import listing
from stepdown.data.understand import understand
from stepdown.recipe.settings import epochs_for, rung_length_for, views_for

# What the proposed recipe (teacher demo:minilm-l6, compact 1M and 250K, four arms) takes on two cores: 25 minutes for
# 15,000 texts of 20 words with three seeds. The teacher and its labels are two fifths and grow with the texts, students
# with the texts that they read, their passes counted: 300,000 here. All of it grows with the words of a text, which is
# read up to about 100 words (128 tokens).
_MINUTES, _TEXTS, _WORDS, _MOST_WORDS = 25, 15_000, 20, 100
_READ = 300_000
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

    def arguments(self) -> dict[str, Any]:
        """The arguments of `recipe.template`."""
        return {
            "name": self.name,
            "data": self.data,
            "task": self.task,
            "rows": self.rows,
            "views": self.views,
            "rung_length": self.rung_length,
            "seeds": self.seeds,
            "notes": self.notes,
        }


def propose(
    source: str, folder: Path | None = None, text: Sequence[str] = (), label: Sequence[str] = ()
) -> Proposal:
    """Look at data and propose how to distil for it.

    Args:
        source: file, folder, hub id or built-in, as the command line has it.
        folder: where the recipe will be, so that a path can be written relative to it; the working folder if None.
        text: the text column, if it is known.
        label: the label column, if it is known.

    Raises:
        DataError: the data cannot be used, or its columns cannot be told.
        HubError: a hub or package index did not deliver.
    """
    found = read.find(source)
    columns = choose(found.tables["train"], text, label)
    if len(columns.label) == 1:
        separator = guess_separator(found.tables["train"], columns.label[0])
        columns = replace(columns, separator=separator)
    splits, inferred, notes = understand(found, columns)
    task = inferred.task
    labelled = {split: int((inferred.labels[split] >= 0).sum()) for split in splits}
    train = splits["train"]
    lengths = hashing.words(train.texts).lengths
    views = 0 if task.is_pair else views_for(len(train.texts))
    rung_length = rung_length_for(int(np.quantile(lengths, 0.95)))
    words, by_students = (
        float(np.minimum(lengths, most).mean()) for most in (_MOST_WORDS, rung_length or _MOST_WORDS)
    )
    seeds, minutes, reason = fitting_seeds(len(train.texts), words, views, by_students)
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
            f"Texts of train: {int(np.median(lengths))} words in the median, {int(lengths.max()):,} at most."
            f"{_cut(lengths, rung_length)}",
            *_siblings(source, splits),
            *notes,
            reason,
        ),
    )


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
    texts: int, words: float, views: int = 0, by_students: float | None = None
) -> tuple[int, float, str]:
    """How many seeds, at most three, finish within the time that a first run should take.

    Args:
        texts: of train.
        words: mean of those that the teacher reads of a text.
        views: of each of them.
        by_students: mean of those that students read of a text; None for as many.

    Returns:
        the seeds, the minutes that they take on two cores (estimated), and both in a sentence.
    """
    learnt = texts * (1 + views)
    shared = _SHARED * texts / _TEXTS
    per_seed = _PER_SEED * learnt * epochs_for(learnt) / _READ
    students = words if by_students is None else by_students
    minutes = {
        seeds: _MINUTES / _WORDS * (words * shared + students * per_seed * seeds)
        for seeds in range(1, SEEDS + 1)
    }
    seeds = max((number for number, took in minutes.items() if took <= _MINUTES), default=1)
    took = f"a run takes {_duration(minutes[seeds])} on 2 cores, estimated"
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
