"""Cuts one split from train: by groups of texts that are versions of each other, or of the long texts of some groups.

Of some corpora the groups are too large to be cut: everything hangs together. Then less is asked for, and said. Single
texts are cut one by one, equal ones together. Pairs are cut by the whole texts that they have in common, so that no
text that was learnt from in one pair is met again in another; only where that fails, too, are they cut pair by pair,
(a, b) with (b, a).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stepdown.data import draw, groups, hashing
from stepdown.data.dataset import Split
from stepdown.data.groups import Index
from stepdown.data.hashing import Words
from stepdown.data.strata import Strata
from stepdown.errors import DataError

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MUCH_LONGER = 1.5  # median words of report against train
FEWEST_LONG = 200  # rows of a selection of long texts; with fewer, a plain cut says more
SPENT_ON_LONG = 1.5  # times the fraction: a group is lost to train whole, and gives a row or two
MOST_WELDED = 1 / 3  # of the rows, in groups too large to be cut; with more, the cut asks for smaller groups


@dataclass(frozen=True)
class Part:
    """A split and its words."""

    split: Split
    words: Words

    @classmethod
    def of(cls, split: Split) -> Part:
        """A split, with its words hashed."""
        return cls(split, hashing.words(split.texts))

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
        given: split → what the split is called that it came as; those that were cut are not in it.
        removed: rows that were taken out, by the reasons of `facts.Removed`.
        notes: what a user should know.
    """

    origins: dict[str, str] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)
    removed: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Plan:
    """What a cut goes by.

    Attributes:
        name: of the split that is cut.
        strata: of the labels.
        seed: of the order in which groups are drawn.
        leaks: bool [rows of train], those that are taken last; None if there are none.
    """

    name: str
    strata: Strata
    seed: int
    leaks: Mask | None = None

    @property
    def fewest_labels(self) -> int:
        """Different labels that a split must have: where texts have none, they are all −1."""
        return 2 if self.strata.noun else 1


Grouping = Callable[[Words], Ints]
"""The group of each row."""


def by_groups(pool: Part, fraction: float, plan: Plan, story: Story) -> tuple[Part, Part]:
    """A split from train, stratified, and what is left of train.

    Raises:
        DataError: train is too small to be cut.
    """
    labels, words, is_pair = pool.split.labels, pool.words, pool.words.sides == 2
    wanted = draw.quotas(plan.strata.counts(labels), fraction)
    what, linked = (
        ("pairs", "share a run of words or a text") if is_pair else ("texts", "share a run of words")
    )
    levels: list[tuple[Grouping, str]] = [(groups.components, f"whole groups of {what} that {linked}")]
    if is_pair:
        levels.append((groups.sharing_a_text, "whole groups of pairs that share a text"))
    levels.append((groups.equal, "pair by pair" if is_pair else "text by text"))
    welded: list[float] = []
    for grouping, _ in levels:
        group_of = grouping(words)
        rows = _drawn(pool, group_of, wanted, plan)
        welded.append(draw.too_large(labels, plan.strata, group_of, wanted))
        if welded[-1] <= MOST_WELDED and _is_sample(pool, rows, wanted, plan):
            break
    if len(np.unique(labels[rows])) < plan.fewest_labels:
        of_each = f" of each {plan.strata.noun}" if plan.strata.noun else ""
        raise DataError(
            f"train has {len(pool):,} rows after cleaning: too few{of_each} to cut a {plan.name} split from them. Add "
            "rows, or give validation and test files."
        )
    taken = np.zeros(len(pool), np.bool_)
    taken[rows] = True
    held, rest = pool.where(taken), pool.where(~taken)
    how, by = levels[len(welded) - 1][1], plan.strata.noun.replace("class", "label")
    stratified = f" stratified by {by}," if by else ""
    story.origins[plan.name] = f"{len(held):,} rows, cut from train,{stratified} {how}."
    if len(welded) == 1:
        return held, _without_overlapping(rest, held, plan.strata, story)
    story.notes.append(
        f"The {what} of train are so much alike that {plan.name} could not be cut by groups of {what} that {linked}: "
        f"{welded[0]:.0%} are in groups too large for it. It was cut {how.replace('whole', 'by')}, so it overlaps "
        f"train, and its results will look better than those on new texts. Separate validation and test files would "
        f"cure that."
    )
    return held, rest


def _is_sample(pool: Part, rows: Ints, wanted: Ints, plan: Plan) -> bool:
    """Whether rows drawn by groups are about as many as can be had: what is left beside large groups is no sample."""
    if plan.strata.counts(pool.split.labels[rows]).sum() * 2 >= wanted.sum():
        return True
    # Where rows are in several strata, all that is wanted of each can seldom be had.
    return plan.strata.overlap and len(rows) * 2 >= len(_drawn(pool, groups.equal(pool.words), wanted, plan))


def _drawn(pool: Part, group_of: Ints, wanted: Ints, plan: Plan) -> Ints:
    labels, strata = pool.split.labels, plan.strata
    rarity = strata.rarest(labels) if strata.overlap else None
    grouped = draw.Grouped(pool.words, group_of, plan.seed, plan.name, plan.leaks, rarity)
    return draw.stratified(labels, strata, grouped, wanted)


def _without_overlapping(rest: Part, held: Part, strata: Strata, story: Story) -> Part:
    """What the groups do not see: texts of three or four words that a held-out text holds, or that hold one."""
    overlapping = Index(held.words, rest.words).overlaps(rest.words)
    rows, kinds = strata.expand(rest.split.labels)
    kept = np.bincount(kinds[~overlapping[rows]], minlength=strata.count)
    # A class must stay; what it shares is reported.
    overlapping[rows[kept[kinds] == 0]] = False
    story.removed["overlapping"] += int(overlapping.sum())
    return rest.where(~overlapping) if overlapping.any() else rest


def of_longest(
    pool: Part, report: Part, fraction: float, most_rows: int, plan: Plan, story: Story
) -> tuple[Part, Part] | None:
    """A split from train that looks like a report split of much longer texts; None if it cannot be had or need not.

    Args:
        pool: train.
        report: the report split.
        fraction: of train that is wanted.
        most_rows: of it.
        plan: of the cut.
        story: grows.
    """
    ours, theirs = np.median(pool.words.lengths), np.median(report.words.lengths)
    if theirs < MUCH_LONGER * ours:
        return None
    grouped = draw.Grouped(pool.words, groups.components(pool.words), plan.seed, plan.name, plan.leaks)
    rows, spent = draw.longest(
        pool.split.texts,
        pool.words,
        pool.split.labels,
        plan.strata,
        grouped,
        least_words=int(np.quantile(report.words.lengths, 0.25)),
        most_rows=min(int(fraction * len(pool)), most_rows),
        most_spent=int(SPENT_ON_LONG * fraction * len(pool)),
    )
    if len(rows) < FEWEST_LONG or len(np.unique(pool.split.labels[rows])) < plan.fewest_labels:
        story.notes.append(
            f"report texts are much longer than train texts (median {theirs:.0f} words against {ours:.0f}), and "
            f"train has too few long ones to select on: {plan.name} looks like train."
        )
        return None
    keep = np.ones(len(pool), np.bool_)
    keep[spent] = False
    chosen = np.zeros(len(pool), np.bool_)
    chosen[rows] = True
    story.removed["with_groups"] = len(spent) - len(rows)
    story.origins[plan.name] = (
        f"{len(rows):,} long texts, cut from train because report texts are much longer than train texts (median "
        f"{theirs:.0f} words against {ours:.0f}); the shorter texts that share words with them left train."
    )
    held = pool.where(chosen)
    return held, _without_overlapping(pool.where(keep), held, plan.strata, story)
