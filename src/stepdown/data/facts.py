"""What was found in the data and what was done to it: for results.json, and in words for `stepdown check`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Lengths:
    """How long the texts of a split are, in words."""

    median: int
    p95: int
    longest: int

    @classmethod
    def of(cls, words: NDArray[np.int64]) -> Lengths:
        """From the number of words of each text, int64 [n]."""
        if not len(words):
            return cls(0, 0, 0)
        median, p95 = np.quantile(words, [0.5, 0.95], method="lower")
        return cls(int(median), int(p95), int(words.max()))


@dataclass(frozen=True)
class Spread:
    """How some numbers lie, in their own unit; `sd` is of the numbers themselves, not estimated for others."""

    mean: float
    sd: float
    least: float
    median: float
    largest: float

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> Spread:
        """From n numbers, at least one."""
        wide = values.astype(np.float64)
        found = wide.mean(), wide.std(), wide.min(), np.median(wide), wide.max()
        return cls(*(float(one) for one in found))


@dataclass(frozen=True)
class SplitFacts:
    """One split.

    Attributes:
        rows: texts.
        labels: rows to which each label applies, in the task's order; empty for regression, and where none is known.
        words: lengths; of pairs, of both texts together.
        origin: where it comes from, in words.
        without: rows to which no label applies (multi-label).
        values: how the numbers to be predicted lie (regression); None for labels.
        given: what the split is called that it came as, such as "validation"; None if it was cut from another.
    """

    rows: int
    labels: dict[str, int]
    words: Lengths
    origin: str
    without: int = 0
    values: Spread | None = None
    given: str | None = None


@dataclass(frozen=True)
class Removed:
    """Rows that were taken out, by reason.

    Attributes:
        duplicates: of train: the same text with the same label as another row.
        equal: of train: the same text, after normalisation, as a held-out one.
        overlapping: of train: overlap a text that was cut from it.
        with_groups: of train: belong to a group of which only the longest texts were selected.
        selection_in_report: of selection: the same text as one of report.
        unlabeled: of validation and test: without a label.
        blank: with neither text nor label.
        unscored: of train: without scores of a teacher that is not at hand.
    """

    duplicates: int = 0
    equal: int = 0
    overlapping: int = 0
    with_groups: int = 0
    selection_in_report: int = 0
    unlabeled: int = 0
    blank: int = 0
    unscored: int = 0


@dataclass(frozen=True)
class Overlap:
    """What two splits still share: `rows` of the second overlap `others` rows of the first, out of `of`."""

    first: str
    second: str
    rows: int
    others: int
    of: int


@dataclass(frozen=True)
class Conflicts:
    """Texts of train that are there with different labels.

    Attributes:
        texts: different ones, after normalisation.
        rows: of all of them.
        examples: a few, with the labels of each.
    """

    texts: int
    rows: int
    examples: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class Facts:
    """Everything that is known of a data set before anything is learned from it.

    Attributes:
        source: as the recipe names it.
        text_column, label_column: as read; several with commas between them. No label column where there is none.
        task: kind of task.
        label_names: in order.
        splits: train, selection, report.
        unlabeled: texts of train without a label.
        shortened: texts of which only the beginning was kept.
        removed: rows that were taken out.
        conflicts: texts with several labels.
        overlaps: what is left between splits.
        notes: decisions and warnings, each a sentence or two.
    """

    source: str
    text_column: str
    label_column: str
    task: str
    label_names: tuple[str, ...]
    splits: dict[str, SplitFacts]
    unlabeled: int
    shortened: int
    removed: Removed
    conflicts: Conflicts
    overlaps: tuple[Overlap, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As plain dicts and lists that JSON can hold."""
        return asdict(self)

    def as_text(self) -> str:
        """For a person at a terminal."""
        return "\n".join(_lines(self))


def _lines(facts: Facts) -> list[str]:
    what = facts.task if facts.task == "regression" else f"{facts.task}, {len(facts.label_names)} labels"
    told = "how they lie" if facts.task == "regression" else "labels, most to least"
    columns = f"the columns {facts.text_column!r} and {_short(facts.label_column)!r}"
    if not facts.label_column:
        columns = f"the teacher, for texts in the column {facts.text_column!r}"
    return [
        f"Data    {facts.source}",
        f"Task    {what}, from {columns}",
        "",
        *_table(
            ["split", "rows", "words: median", "95%", "longest", told],
            [
                [
                    name,
                    f"{split.rows:,}",
                    str(split.words.median),
                    str(split.words.p95),
                    f"{split.words.longest:,}",
                    _told(split),
                ]
                for name, split in facts.splits.items()
            ],
        ),
        "",
        *(f"{name}: {split.origin}" for name, split in facts.splits.items()),
        *_section("Removed", _removed(facts.removed)),
        *_section("Left as it is", _left(facts)),
        *_section("Note", facts.notes),
    ]


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", f"{title}:", *(f"  - {line}" for line in lines)] if lines else []


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    last = len(head) - 1
    return [
        "  ".join(
            cell if at == last else cell.ljust(widths[at]) if at == 0 else cell.rjust(widths[at])
            for at, cell in enumerate(row)
        )
        for row in [head, *rows]
    ]


def _told(split: SplitFacts) -> str:
    """How labels or numbers are spread."""
    if not split.labels and split.values is None:
        return "not known"
    if split.values is not None:
        lie = split.values
        return f"mean {lie.mean:.4g} (sd {lie.sd:.4g}), {lie.least:.4g} to {lie.largest:.4g}, median {lie.median:.4g}"
    without = (
        f"; none applies to {split.without:,} ({split.without / split.rows:.0%})" if split.without else ""
    )
    return _balance(split.labels, split.rows or 1) + without


def _balance(labels: Mapping[str, int], total: int, most: int = 4) -> str:
    ranked = sorted(labels.items(), key=lambda item: -item[1])
    shown = ranked if len(ranked) <= most else [*ranked[: most - 1], ranked[-1]]
    parts = [f"{_short(name, 24)} {count:,} ({count / total:.0%})" for name, count in shown]
    if len(ranked) > most:
        parts.insert(most - 1, f"… {len(ranked) - most:,} more …")
    return ", ".join(parts)


def _removed(removed: Removed) -> list[str]:
    reasons = {
        "duplicates": "of train: the same text and label as another row",
        "equal": "of train: the same text as in selection or report",
        "overlapping": "of train: share a run of words with a text that was cut from it, or one holds the other",
        "with_groups": "of train: shorter versions of the texts that were cut as selection",
        "selection_in_report": "of selection: the same text as in report",
        "unlabeled": "of validation or test: without a label",
        "blank": "with neither text nor label",
        "unscored": "of train: without scores of the teacher",
    }
    counts = asdict(removed)
    return [f"{counts[key]:,} {_rows(counts[key])} {says}" for key, says in reasons.items() if counts[key]]


def _left(facts: Facts) -> list[str]:
    lines = [
        f"{overlap.rows:,} of the {overlap.of:,} {overlap.second} texts share a run of words with "
        f"{overlap.others:,} texts of {overlap.first}"
        for overlap in facts.overlaps
    ]
    if facts.conflicts.texts:
        examples = "; ".join(
            f"{_short(text)!r} is {' and '.join(labels)}" for text, labels in facts.conflicts.examples
        )
        lines.append(
            f"{facts.conflicts.texts:,} {'text is' if facts.conflicts.texts == 1 else 'texts are'} in train with "
            f"different labels ({facts.conflicts.rows:,} rows), such as {examples}"
        )
    if facts.unlabeled:
        lines.append(
            f"{facts.unlabeled:,} {_rows(facts.unlabeled)} of train have no label: text for the teacher to label"
        )
    if facts.shortened:
        texts = "text" if facts.shortened == 1 else "texts"
        lines.append(f"{facts.shortened:,} very long {texts}, of which only the beginning is kept")
    return lines


def _rows(count: int) -> str:
    return "row" if count == 1 else "rows"


def _short(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
