"""Cuts what the data does not come with: a report split, where results are told, and a selection split, where
anything is chosen.

- Validation and test, both labelled: select on validation, report on test.
- Only one of them: it is the report split, and the selection split is cut from train.
- Neither: both are cut from train.

Cuts go by the groups of `groups`, stratified by label, and whatever of train overlaps a text that was cut is then
dropped. A split that came with the data stays as it is: train texts that are equal to one of its texts are dropped,
what else they share is only reported. Where report texts are much longer than train texts (phrases to train on,
sentences to report on), the longest texts of some groups make the selection split, and the rest of these groups
leaves train.

Which groups are drawn depends on their texts and the seed alone, not on the order of rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from stepdown.data import groups
from stepdown.data.dataset import Split
from stepdown.data.facts import Overlap, Removed
from stepdown.data.groups import Index, Words
from stepdown.errors import DataError

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LARGEST_SELECTION = 5_000  # rows: its standard error is half a point, and it is predicted after every epoch
MUCH_LONGER = 1.5  # median words of report against train
FEWEST_LONG = 200  # rows of a selection of long texts; with fewer, a plain cut says more


@dataclass(frozen=True)
class Part:
    """A split and its words."""

    split: Split
    words: Words

    @classmethod
    def of(cls, split: Split) -> Part:
        """A split with its words, counted and hashed."""
        return cls(split, groups.words(split.texts))

    def __len__(self) -> int:
        return len(self.split)

    def take(self, rows: Ints | Mask) -> Part:
        """Some rows, by number or by mask."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Part(self.split.take(chosen), self.words.take(chosen))


@dataclass
class Cut:
    """The three splits, and how they came about.

    Attributes:
        origins: of selection and report, in words.
        removed: rows that were taken out on the way.
        overlaps: what the splits still share.
        notes: what a user should know.
    """

    train: Part
    selection: Part
    report: Part
    origins: dict[str, str]
    removed: Removed
    overlaps: tuple[Overlap, ...] = ()
    notes: list[str] = field(default_factory=list)


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
        DataError: train is too small to be cut, or a class has no row left in it.
    """
    pool, duplicates = _without_duplicates(Part.of(train))
    notes: list[str] = []
    origins: dict[str, str] = {}
    report, selection, in_report = _given(validation, test, origins, notes)
    removed = Removed(duplicates=duplicates, selection_in_report=in_report)
    pool, removed = _without_equal(pool, [part for part in (selection, report) if part], removed)
    cutter = _Cutter(seed, notes)
    if report is None:
        report, pool, removed = cutter.plain("report", pool, report_fraction, None, removed)
        origins["report"] = f"{len(report):,} rows were cut from train{cutter.how}."
        alike = True
    else:
        alike = np.median(report.words.lengths) < MUCH_LONGER * np.median(pool.words.lengths)
    if selection is None:
        long = None if alike else cutter.longest(pool, report, selection_fraction, removed)
        if long is None:
            leaked = None if "given" not in origins else Index(report.words, pool.words).overlaps(pool.words)
            selection, pool, removed = cutter.plain("selection", pool, selection_fraction, leaked, removed)
            origins["selection"] = f"{len(selection):,} rows were cut from train{cutter.how}."
        else:
            selection, pool, removed = long
    raise NotImplementedError
