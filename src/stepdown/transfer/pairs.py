"""Views of pairs: new pairs made of the texts of the labelled ones, for the teacher to label.

Thakur et al. (2021), "Augmented SBERT", recombine the texts of labelled pairs, near ones and others, and let a
cross-encoder label them. Beside such pairs stand here texts with a view of themselves, and pairs of which one text is a
view; the shares are those that measured well (LOG.md). A whole text stays on its side: what says that one text follows
from the other is never asked about the two in reverse.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from stepdown.tasks import joined, parts
from stepdown.transfer.near import Meaning, Partners, Space
from stepdown.transfer.views import KINDS, Maker

_Kind = Literal["near", "any", "itself", "changed"]

# The kinds of views in turn: a text with a partner that is near to it in the teacher's embedding space, with any other
# text, with a view of itself; and the pair with a view in the place of one text.
_TURNS: tuple[_Kind, ...] = (
    *("near", "itself", "changed", "any", "near", "changed"),
    *("itself", "near", "any", "changed", "near", "itself"),
)
_BLOCK = 2048  # pairs whose near partners are in memory


def views_of_pairs(
    pairs: Sequence[str], each: int, seed: int, meaning: Meaning | None = None
) -> Iterator[str]:
    """`each` views of every pair, pair by pair; a few less where views come out without words.

    Args:
        pairs: of the task, as `tasks.joined` has them.
        each: views of one pair.
        seed: the same pairs, number and seed give the same views.
        meaning: tells which texts are near and by which words to replace words; without it any will do.
    """
    if not pairs:
        return
    draw = np.random.default_rng(seed)
    first, second = (list(side) for side in zip(*map(parts, pairs), strict=True))
    space = Space([*first, *second], meaning)
    sides = _Sides(first, second, draw, Maker([*first, *second], draw, space.neighbours()))
    partners = None if meaning is None else Partners(space, (first, second), draw)
    for start in range(0, len(pairs), _BLOCK):
        rows = range(start, min(start + _BLOCK, len(pairs)))
        near: list[list[list[str]]] = [[[]] * len(rows)] * 2
        if partners is not None:
            near = [
                partners.nearest(own[rows.start : rows.stop], 1 - side)
                for side, own in enumerate((first, second))
            ]
        for row in rows:
            for number in range(row * each, (row + 1) * each):
                # Each kind in turn of the first and of the second text.
                side = (number + number // len(_TURNS)) % 2
                view = sides.view(row, side, _TURNS[number % len(_TURNS)], near[side][row - start])
                if view is not None:
                    yield view


class _Sides:
    """The texts of pairs, from which views are made.

    Args:
        first, second: n texts each.
        draw: makes every choice.
        maker: of views of these, the first ones and then the second ones.
    """

    def __init__(
        self, first: Sequence[str], second: Sequence[str], draw: np.random.Generator, maker: Maker
    ) -> None:
        self._texts, self._draw, self._maker = (first, second), draw, maker
        self._has_views = np.zeros(2 * len(first), np.bool_)
        self._has_views[maker.long] = True

    def view(self, row: int, side: int, kind: _Kind, near: Sequence[str]) -> str | None:
        """One view of a pair; None where it comes out without words.

        Args:
            row: of the pair.
            side: 0 or 1, the text that it is about; views are of the other where it is too short to have any.
            kind: where neither text has views, a view of it is a pair with any other text.
            near: texts on the other side that are near to it, for the kind of that name; if none, any will do.
        """
        if kind in ("itself", "changed"):
            side = side if self._has_views[self._place(row, side)] else 1 - side
            if self._has_views[self._place(row, side)]:
                made = self._maker.view(self._place(row, side), int(self._draw.integers(KINDS)))
                own, other = self._texts[side][row], self._texts[1 - side][row]
                view = _pair(side, own, made) if kind == "itself" else _pair(side, made, other)
                return view if made else None
        text, partner = self._texts[side][row], self._texts[1 - side][row]
        others: Sequence[str] = [one for one in near if one != partner] if kind == "near" else ()
        others = others or self._texts[1 - side]
        return _pair(side, text, others[int(self._draw.integers(len(others)))])

    def _place(self, row: int, side: int) -> int:
        """Where the maker has a text."""
        return row + side * len(self._texts[0])


def _pair(side: int, text: str, other: str) -> str:
    """A pair that has a text on a side, and another one on the other side."""
    return joined(other, text) if side else joined(text, other)
