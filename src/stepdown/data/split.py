"""Cuts what the data does not come with: a report split, where results are told, and a selection split, where
anything is chosen.

- Validation and test, both labelled: select on validation, report on test.
- Only one of them: it is the report split, and the selection split is cut from train.
- Neither: both are cut from train.

Cuts go by the groups of `groups`, stratified by label; whatever of train then still overlaps a text that was cut is
dropped. A split that came with the data stays as it is: train texts equal to one of its texts are dropped, what else
they share is only reported. Where report texts are much longer than train texts (phrases to train on, sentences to
report on), the selection split is made of the long texts of some groups, and the rest of these groups leaves train.

Which groups are drawn depends on their texts and the seed alone, not on the order of rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stepdown.data import draw, groups
from stepdown.data.dataset import Split
from stepdown.data.facts import Overlap
from stepdown.data.groups import Index, Words
from stepdown.errors import DataError

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LARGEST_SELECTION = (
    5_000  # rows: half a point of standard error, and every epoch of every teacher predicts them
)
MUCH_LONGER = 1.5  # median words of report against train
FEWEST_LONG = 200  # rows of a selection of long texts; with fewer, a plain cut says more
SPENT_ON_LONG = 1.5  # times the fraction: a group is lost to train whole, and gives a row or two
MOST_WELDED = 1 / 3  # of the rows, in groups too large to be cut; with more, the cut goes text by text
COARSE = 100  # rows; below, a note warns


@dataclass(frozen=True)
class Part:
    """A split and its words."""

    split: Split
    words: Words

    @classmethod
    def of(cls, split: Split) -> Part:
        """A split, with its words hashed."""
        return cls(split, groups.words(split.texts))

    def __len__(self) -> int:
        return len(self.split)

    def where(self, rows: Mask) -> Part:
        """Some rows, bool [n]."""
        chosen = np.flatnonzero(rows)
        return Part(self.split.take(chosen), self.words.take(chosen))


@dataclass
class Story:
    """How the splits came about.

    Attributes:
        origins: of each split, in words.
        removed: rows that were taken out, by the reasons of `facts.Removed`.
        notes: what a user should know.
    """

    origins: dict[str, str] = field(default_factory=dict)
    removed: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cut:
    """The three splits, and how they came about."""

    train: Part
    selection: Part
    report: Part
    story: Story


def cut(
    train: Split,
    validation: Split | None,
    test: Split | None,
    *,
    selection_fraction: float,
    report_fraction: float,
    seed: int,
) -> Cut:
    """The splits of some data.

    Args:
        train: labelled rows.
        validation: labelled rows that came with the data, if any.
        test: likewise.
        selection_fraction: of the rows of train, where a selection split is cut; at most `LARGEST_SELECTION` rows.
        report_fraction: likewise for a report split, without a limit.
        seed: of the cuts.

    Raises:
        DataError: train is too small to be cut, or what is left of it lacks a class.
    """
    story = Story()
    pool = _without_duplicates(Part.of(train), story)
    selection, report = _given(validation, test, story)
    pool = _without_equal(pool, [part for part in (selection, report) if part is not None], story)
    _check_classes(train, pool.split)
    leaks: Mask | None = None
    # A fraction is one of all rows, also where another split was cut before.
    rows = len(pool)
    if report is None:
        report, pool = _cut(pool, "report", report_fraction, None, seed, story)
    elif selection is None:
        leaks = Index(report.words, pool.words).overlaps(pool.words)
        long = _cut_longest(pool, report, selection_fraction, leaks, seed, story)
        if long is not None:
            selection, pool = long
    if selection is None:
        fraction = min(selection_fraction * rows, LARGEST_SELECTION) / len(pool)
        selection, pool = _cut(pool, "selection", fraction, leaks, seed, story)
    story.origins["train"] = f"{len(pool):,} of the {len(train):,} labelled rows of train."
    for name, part in (("selection", selection), ("report", report)):
        if len(part) < COARSE:
            story.notes.append(f"{name} has only {len(part)} rows: expect wide intervals.")
    return Cut(pool, selection, report, story)


def overlap_between(name: str, first: Part, other_name: str, second: Part) -> Overlap | None:
    """What two splits share, or None if it is nothing."""
    shared = Index(second.words, first.words).overlaps(first.words)
    if not shared.any():
        return None
    # The relation is symmetric, so only these can overlap a text of `second`.
    rest = groups.join([first.where(~shared).words, second.words])
    rows = Index(first.where(shared).words, rest).overlaps(second.words)
    return Overlap(name, other_name, rows=int(rows.sum()), others=int(shared.sum()), of=len(second))


def _without_duplicates(part: Part, story: Story) -> Part:
    """The first of all rows with the same text and label."""
    labels, whole = part.split.labels, part.words.whole
    order = np.lexsort((labels, whole))
    alike = np.zeros(len(part), np.bool_)
    same = (whole[order[1:]] == whole[order[:-1]]) & (labels[order[1:]] == labels[order[:-1]])
    alike[order[1:][same]] = True
    alike[order[:-1][same]] = True
    seen: set[tuple[str, int]] = set()
    keep = np.ones(len(part), np.bool_)
    # Equal words are not enough to drop a row of the user's: "good!" is not "good?".
    for row in np.flatnonzero(alike).tolist():
        key = (part.split.texts[row], int(labels[row]))
        keep[row] = key not in seen
        seen.add(key)
    story.removed["duplicates"] = int((~keep).sum())
    return part if keep.all() else part.where(keep)


def _given(validation: Split | None, test: Split | None, story: Story) -> tuple[Part | None, Part | None]:
    """The selection and the report split that came with the data."""
    if test is None or validation is None:
        only, name = (validation, "validation") if test is None else (test, "test")
        if only is None:
            return None, None
        story.origins["report"] = f"the {name} split that came with the data."
        return None, Part.of(only)
    selection, report = Part.of(validation), Part.of(test)
    story.origins["report"] = "the test split that came with the data."
    equal = np.isin(selection.words.whole, report.words.whole)
    if equal.sum() * 2 > len(equal):
        story.notes.append(
            f"{int(equal.sum()):,} of the {len(equal):,} texts of validation are in test too: validation was left "
            f"aside, and a selection split is cut from train."
        )
        return None, report
    story.origins["selection"] = "the validation split that came with the data."
    story.removed["selection_in_report"] = int(equal.sum())
    return selection.where(~equal), report


def _without_equal(pool: Part, held_out: list[Part], story: Story) -> Part:
    keys = [part.words.whole for part in held_out]
    equal = np.isin(pool.words.whole, np.concatenate(keys)) if keys else np.zeros(len(pool), np.bool_)
    story.removed["equal"] = int(equal.sum())
    return pool.where(~equal) if equal.any() else pool


def _check_classes(train: Split, pool: Split) -> None:
    lost = np.setdiff1d(train.labels, pool.labels)
    if len(lost):
        raise DataError(
            f"{len(train) - len(pool):,} of the {len(train):,} rows of train are repeated, or are in validation or "
            f"test too; without them {len(lost)} of its classes {'have' if len(lost) > 1 else 'has'} no row to learn "
            f"from. Is it the same file twice?"
        )


def _cut(
    pool: Part, name: str, fraction: float, leaks: Mask | None, seed: int, story: Story
) -> tuple[Part, Part]:
    """A split from train, and what is left of train."""
    wanted = draw.quotas(pool.split.labels, fraction)
    group_of = groups.components(pool.words)
    rows = draw.stratified(pool.split.labels, draw.Grouped(pool.words, group_of, seed, name, leaks), wanted)
    welded = draw.too_large(pool.split.labels, group_of, wanted)
    # What is left beside large groups is no sample of the whole.
    by_groups = welded <= MOST_WELDED and len(rows) * 2 >= wanted.sum()
    if not by_groups:
        _, group_of = np.unique(pool.words.whole, return_inverse=True)
        rows = draw.stratified(
            pool.split.labels, draw.Grouped(pool.words, group_of, seed, name, leaks), wanted
        )
    if len(np.unique(pool.split.labels[rows])) < 2:
        raise DataError(
            f"train has {len(pool):,} rows after cleaning: too few of each class to cut a {name} split from them. "
            f"Add rows, or give validation and test files."
        )
    taken = np.zeros(len(pool), np.bool_)
    taken[rows] = True
    held, rest = pool.where(taken), pool.where(~taken)
    how = "cut from train, stratified by label"
    if not by_groups:
        story.origins[name] = f"{len(held):,} rows, {how}, text by text."
        story.notes.append(
            f"The texts of train are so much alike that {name} could not be cut by groups of texts that share a "
            f"run of words: {welded:.0%} are in groups too large for it. It was cut text by text, so it overlaps "
            f"train, and its results will look better than those on new texts. Separate validation and test files "
            f"would cure that."
        )
        return held, rest
    story.origins[name] = f"{len(held):,} rows, {how}, whole groups of texts that share a run of words."
    return held, _without_overlapping(rest, held, pool, story)


def _without_overlapping(rest: Part, held: Part, pool: Part, story: Story) -> Part:
    """What the groups do not see: texts of three or four words that a held-out text holds, or that hold one."""
    overlapping = Index(held.words, rest.words).overlaps(rest.words)
    for label in np.setdiff1d(rest.split.labels, rest.split.labels[~overlapping]):
        overlapping[rest.split.labels == label] = False  # a class must stay; what it shares is reported
    story.removed["overlapping"] += int(overlapping.sum())
    return rest.where(~overlapping) if overlapping.any() else rest


def _cut_longest(
    pool: Part, report: Part, fraction: float, leaks: Mask, seed: int, story: Story
) -> tuple[Part, Part] | None:
    """A selection split that looks like a report split of much longer texts; None if it cannot be had or need not."""
    ours, theirs = np.median(pool.words.lengths), np.median(report.words.lengths)
    if theirs < MUCH_LONGER * ours:
        return None
    grouped = draw.Grouped(pool.words, groups.components(pool.words), seed, "selection", leaks)
    rows, spent = draw.longest(
        pool.split.texts,
        pool.words,
        pool.split.labels,
        grouped,
        least_words=int(np.quantile(report.words.lengths, 0.25)),
        most_rows=min(int(fraction * len(pool)), LARGEST_SELECTION),
        most_spent=int(SPENT_ON_LONG * fraction * len(pool)),
    )
    if len(rows) < FEWEST_LONG or len(np.unique(pool.split.labels[rows])) < 2:
        story.notes.append(
            f"report texts are much longer than train texts (median {theirs:.0f} words against {ours:.0f}), and "
            f"train has too few long ones to select on: selection looks like train."
        )
        return None
    keep = np.ones(len(pool), np.bool_)
    keep[spent] = False
    chosen = np.zeros(len(pool), np.bool_)
    chosen[rows] = True
    story.removed["with_groups"] = len(spent) - len(rows)
    story.origins["selection"] = (
        f"{len(rows):,} long texts, cut from train because report texts are much longer than train texts (median "
        f"{theirs:.0f} words against {ours:.0f}); the shorter texts that share words with them left train."
    )
    held = pool.where(chosen)
    return held, _without_overlapping(pool.where(keep), held, pool, story)
