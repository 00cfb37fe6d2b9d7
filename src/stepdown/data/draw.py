"""Which rows a cut takes: whole groups, in an order that depends on texts and a seed alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from stepdown.data.hashing import Words, mix, normalise
from stepdown.data.strata import Strata
from stepdown.tasks import SEPARATOR, parts

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_MANY_LONG = 200  # long texts of a group beyond which it is not looked for the ones that hold others


class Grouped:
    """Rows by group, groups in the order in which they are drawn.

    Args:
        words: of n texts.
        group_of: int64 [n], the group of each.
        seed: with `purpose`, of the order.
        purpose: so that two cuts of one seed differ.
        last: bool [n]; groups with any of these come after all others.
        rarity: int64 [n]; groups with the lowest come first; of equal ones, and if it is None, chance decides.
    """

    def __init__(
        self,
        words: Words,
        group_of: Ints,
        seed: int,
        purpose: str,
        last: Mask | None = None,
        rarity: Ints | None = None,
    ) -> None:
        count = int(group_of.max(initial=-1)) + 1
        self._rows = np.argsort(group_of, kind="stable")
        self._starts = np.searchsorted(group_of[self._rows], np.arange(count + 1))
        salt = int.from_bytes(blake2b(f"{purpose} {seed}".encode(), digest_size=8).digest(), "little")
        key = np.full(count, np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(key, group_of, words.whole)
        late = np.zeros(count, np.bool_)
        if last is not None:
            late[group_of[last]] = True
        rare = np.full(count, np.iinfo(np.int64).max, np.int64)
        if rarity is not None:
            np.minimum.at(rare, group_of, rarity)
        self.order = np.lexsort((mix(key ^ np.uint64(salt)), rare, late))

    def rows(self, group: int) -> Ints:
        """The rows of a group, int64."""
        rows: Ints = self._rows[self._starts[group] : self._starts[group + 1]]
        return rows


def quotas(counts: Ints, fraction: float) -> Ints:
    """Rows of each stratum that a stratified cut takes: a fraction, at least one of three, never the last one."""
    wanted = np.floor(counts * fraction + 0.5).astype(np.int64)
    least, most = (counts >= 3).astype(np.int64), np.maximum(counts - 1, 0)
    taken: Ints = np.clip(wanted, least, most)
    return taken


def too_large(labels: Ints, strata: Strata, group_of: Ints, wanted: Ints) -> float:
    """Share of the rows that no stratified cut can take: their group holds more of a stratum than is wanted.

    A row that is a group by itself is not meant: of a class of one or two rows, say, nothing is wanted.
    """
    rows, kinds = strata.expand(labels)
    cells, counts = np.unique(group_of[rows] * strata.count + kinds, return_counts=True)
    groups = cells[counts > wanted[cells % strata.count]] // strata.count
    groups = groups[np.bincount(group_of)[groups] > 1]
    return float(np.isin(group_of, groups).mean())


def stratified(labels: Ints, strata: Strata, grouped: Grouped, wanted: Ints) -> Ints:
    """Rows of the first groups that fit into what is still wanted of each stratum, sorted int64.

    Where rows are in several strata, groups should come with the rarest stratum first: so iterative stratification
    goes (Sechidis, Tsoumakas and Vlahavas 2011, "On the Stratification of Multi-Label Data"), of which this is the
    form for whole groups and quotas that are never exceeded.

    Args:
        labels: int64 [n].
        strata: of the labels.
        grouped: the rows by group.
        wanted: int64 [strata], rows of each; never exceeded.
    """
    room, label_of = wanted.tolist(), labels.tolist()
    left = sum(room)
    taken: list[int] = []
    for group in grouped.order.tolist():
        if left == 0:
            break
        rows = grouped.rows(group).tolist()
        needs = Counter(kind for row in rows for kind in strata.of_answer[label_of[row]])
        if all(room[kind] >= count for kind, count in needs.items()):
            for kind, count in needs.items():
                room[kind] -= count
            left -= needs.total()
            taken += rows
    return np.sort(np.array(taken, np.int64))


def longest(
    texts: Sequence[str],
    words: Words,
    labels: Ints,
    strata: Strata,
    grouped: Grouped,
    *,
    least_words: int,
    most_rows: int,
    most_spent: int,
) -> tuple[Ints, Ints]:
    """The long texts of the first groups that have any, and what these groups cost.

    Of several long texts of a group, one that another one holds is left out: it would say the same twice.

    Args:
        texts, words, labels: n rows.
        strata: of the labels.
        grouped: the rows by group.
        least_words: of a long text.
        most_rows: that are chosen.
        most_spent: rows of groups that are touched.

    Returns:
        the rows chosen, and all rows of their groups, both sorted int64. Every stratum keeps a row outside of them.
    """
    left = strata.counts(labels)
    is_long = words.lengths >= least_words
    chosen: list[int] = []
    spent: list[int] = []
    for group in grouped.order.tolist():
        rows = grouped.rows(group)
        long = rows[is_long[rows]]
        if not len(long):
            continue
        if len(chosen) >= most_rows:
            break
        if len(spent) + len(rows) > most_spent:
            continue
        needs = strata.counts(labels[rows])
        if ((needs > 0) & (needs >= left)).any():
            continue
        left -= needs
        chosen += _outermost(texts, long.tolist())
        spent += rows.tolist()
    return np.sort(np.array(chosen[:most_rows], np.int64)), np.sort(np.array(spent, np.int64))


def _outermost(texts: Sequence[str], rows: list[int]) -> list[int]:
    """The rows whose text no other one of them holds, in words; of equal texts the first."""
    if len(rows) > _MANY_LONG:
        return rows
    plain = sorted(
        (
            (SEPARATOR.join(f" {' '.join(normalise(part))} " for part in parts(texts[row])), row)
            for row in rows
        ),
        key=lambda pair: (-len(pair[0]), pair[1]),
    )
    kept: list[tuple[str, int]] = []
    for text, row in plain:
        if not any(text in other for other, _ in kept):
            kept.append((text, row))
    return [row for _, row in kept]
