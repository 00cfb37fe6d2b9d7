"""Cuts what the data does not come with: a report split, where results are told, and a selection split, where
anything is chosen.

- Validation and test, both labelled: select on validation, report on test.
- Only one of them: it is the report split, and the selection split is cut from train.
- Neither: both are cut from train.

Cuts go by the groups of `groups`, stratified by label, by each of several labels, or by ranges of numbers (`strata`);
whatever of train then still overlaps a text that was cut is dropped. A split that came with the data stays as it is:
train texts equal to one of its texts are dropped, what else they share is only reported. Where report texts are much
longer than train texts (phrases to train on, sentences to report on), the selection split is made of the long texts of
some groups, and the rest of these groups leaves train.

Which groups are drawn depends on their texts and the seed alone, not on the order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stepdown.data import hashing
from stepdown.data.dataset import Split
from stepdown.data.facts import Overlap
from stepdown.data.groups import Index
from stepdown.data.held_out import Part, Plan, Story, by_groups, of_longest
from stepdown.data.strata import Strata
from stepdown.errors import DataError

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LARGEST_SELECTION = (
    5_000  # rows: half a point of standard error, and every epoch of every teacher predicts them
)
COARSE = 100  # rows; below, a note warns


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
    strata: Strata,
    selection_fraction: float,
    report_fraction: float,
    seed: int,
) -> Cut:
    """The splits of some data.

    Args:
        train: labelled rows.
        validation: labelled rows that came with the data, if any.
        test: likewise.
        strata: of the labels.
        selection_fraction: of the rows of train, where a selection split is cut; at most `LARGEST_SELECTION` rows.
        report_fraction: likewise for a report split, without a limit.
        seed: of the cuts.

    Raises:
        DataError: train is too small to be cut, or what is left of it lacks a class or a label.
    """
    story = Story()
    pool = _without_duplicates(Part.of(train), story)
    selection, report = _given(validation, test, story)
    pool = _without_equal(pool, [part for part in (selection, report) if part is not None], story)
    _check_classes(train, pool.split, strata)
    leaks: Mask | None = None
    # A fraction is one of all rows, also where another split was cut before.
    rows = len(pool)
    if report is None:
        report, pool = by_groups(pool, report_fraction, Plan("report", strata, seed), story)
    elif selection is None:
        leaks = Index(report.words, pool.words).overlaps(pool.words)
        plan = Plan("selection", strata, seed, leaks)
        long = of_longest(pool, report, selection_fraction, LARGEST_SELECTION, plan, story)
        if long is not None:
            selection, pool = long
    if selection is None:
        fraction = min(selection_fraction * rows, LARGEST_SELECTION) / len(pool)
        selection, pool = by_groups(pool, fraction, Plan("selection", strata, seed, leaks), story)
    what = "labelled rows" if train.is_labelled else "rows"
    story.origins["train"] = f"{len(pool):,} of the {len(train):,} {what} of train."
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
    rest = hashing.join([first.where(~shared).words, second.words])
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
        _came_as(name, "report", story)
        return None, Part.of(only)
    selection, report = Part.of(validation), Part.of(test)
    _came_as("test", "report", story)
    equal = np.isin(selection.words.whole, report.words.whole)
    if equal.sum() * 2 > len(equal):
        story.notes.append(
            f"{int(equal.sum()):,} of the {len(equal):,} texts of validation are in test too: validation was left "
            f"aside, and a selection split is cut from train."
        )
        return None, report
    _came_as("validation", "selection", story)
    story.removed["selection_in_report"] = int(equal.sum())
    return selection.where(~equal), report


def _came_as(given: str, name: str, story: Story) -> None:
    story.origins[name] = f"the {given} split that came with the data."
    story.given[name] = given


def _without_equal(pool: Part, held_out: list[Part], story: Story) -> Part:
    keys = [part.words.whole for part in held_out]
    equal = np.isin(pool.words.whole, np.concatenate(keys)) if keys else np.zeros(len(pool), np.bool_)
    story.removed["equal"] = int(equal.sum())
    return pool.where(~equal) if equal.any() else pool


def _check_classes(train: Split, pool: Split, strata: Strata) -> None:
    lost = np.flatnonzero((strata.counts(train.labels) > 0) & (strata.counts(pool.labels) == 0))
    if len(lost):
        raise DataError(
            f"{len(train) - len(pool):,} of the {len(train):,} rows of train are repeated, or are in validation or "
            f"test too; without them {len(lost)} of its {strata.plural} {'have' if len(lost) > 1 else 'has'} no row to "
            f"learn from. Is it the same file twice?"
        )
