"""Tensors as they are known before they are computed: types, sizes, and the numbers that may be sizes of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from stepdown.runtime.graph import sizes
from stepdown.runtime.graph.onnx import BOOL, INT32, INT64, MOST_SIZES, Constant
from stepdown.runtime.graph.sizes import AnySize, Size

Number = AnySize | None
"""A whole number that is known, or a size, of which a bound may be all that is known and which is never negative."""


# Batches have less than 2²⁰ texts or ids: the product of any two of them, and so often, is less than that.
_LARGEST = 1 << 62


class Tensor(NamedTuple):
    """A tensor before it is computed.

    Attributes:
        type: of its numbers.
        dims: its shape.
        numbers: what it holds, where that is known of some: few whole numbers of at most one dimension.
        low: what every number of it is at least, where that is known.
        is_constant: it depends on no text.
        most: how many numbers it holds at most, where its dimensions alone would tell too much.
    """

    type: int
    dims: tuple[AnySize, ...]
    numbers: tuple[Number, ...] | None = None
    low: int | None = None
    is_constant: bool = False
    most: AnySize | None = None

    @property
    def size(self) -> AnySize:
        """How many numbers it holds."""
        return sizes.product(self.dims) if self.most is None else self.most

    @property
    def least(self) -> int | None:
        """What every number of it is at least, where that is known."""
        if self.low is not None or not self.numbers:
            return self.low
        known = [number for number in self.numbers if number is not None]
        if len(known) < len(self.numbers):
            return None
        return min(number if isinstance(number, int) else number.least for number in known)


def cast(tensor: Tensor, kind: int) -> Tensor:
    """The same numbers as another type: known where they are so large at most that they stay the same."""
    if kind == INT64 and tensor.type in (INT32, INT64):
        return tensor._replace(type=kind)
    fit = kind == INT32 and tensor.type == INT64 and all(map(_fits, tensor.numbers or ()))
    return tensor._replace(type=kind, numbers=tensor.numbers if fit else None, low=None)


def _fits(number: Number) -> bool:
    """Whether it is known to need no more than 32 bits in any batch."""
    if isinstance(number, Size):
        return all(i + j <= 1 and count < 1 << 8 for i, j, count in number.terms)
    return number is not None and abs(number) < 1 << 31


def constant(held: Constant) -> Tensor:
    """A tensor of the file."""
    return Tensor(held.type, held.dims, held.sizes, is_constant=True)


def vector(numbers: Sequence[Number]) -> Tensor:
    """A tensor of one dimension, of type int64, with these numbers."""
    return Tensor(INT64, (len(numbers),), tuple(numbers) if len(numbers) <= MOST_SIZES else None)


def exact(tensor: Tensor | None) -> list[int] | None:
    """Its numbers, where all of them are known and do not depend on the texts."""
    if tensor is None or tensor.numbers is None:
        return None
    found = [number for number in tensor.numbers if isinstance(number, int)]
    return found if len(found) == len(tensor.numbers) else None


# --- shapes ------------------------------------------------------------------------------------------


def broadcast(shapes: Sequence[Sequence[AnySize]]) -> tuple[AnySize, ...]:
    """The shape of what is computed number by number of tensors of these shapes."""
    found: Sequence[AnySize] = ()
    for shape in shapes:
        pairs = zip_longest(reversed(found), reversed(shape), fillvalue=1)
        found = [_together(one, other) for one, other in pairs][::-1]
    return tuple(found)


def _together(one: AnySize, other: AnySize) -> AnySize:
    """Of two sizes that are equal, or of which one is 1."""
    if one == other or other == 1:
        return one
    if one == 1:
        return other
    # A whole number above 1 decides, or the tensors do not fit together, which is found out when it runs.
    for size in (one, other):
        if isinstance(size, int):
            return size
    for size, bound in ((one, other), (other, one)):
        if sizes.is_exact(size) and sizes.bound(sizes.most(size, bound)) == sizes.bound(size):
            return size
    return sizes.most(one, other)


def same(dims: Sequence[AnySize]) -> AnySize:
    """Of sizes that are equal, or do not fit together, the one of which most is known."""
    return min(dims, key=lambda size: (not isinstance(size, int), not sizes.is_exact(size)))


# --- numbers -----------------------------------------------------------------------------------------


def plus(one: AnySize, other: AnySize) -> Number:
    """The sum; unknown where it may be negative without being known."""
    if isinstance(one, int) and isinstance(other, int):
        return one + other
    return sizes.plus(one, other) if _is_size(one) and _is_size(other) else None


def minus(one: AnySize, other: AnySize) -> Number:
    """The difference, if both are known."""
    return one - other if isinstance(one, int) and isinstance(other, int) else None


def times(one: AnySize, other: AnySize) -> Number:
    """The product; unknown where it may be negative without being known."""
    if isinstance(one, int) and isinstance(other, int):
        return one * other
    return sizes.product((one, other)) if _is_size(one) and _is_size(other) else None


def over(one: AnySize, other: AnySize) -> Number:
    """The quotient without its fraction, of what is not negative."""
    if not (_is_size(one) and isinstance(other, int) and other > 0):
        return None
    if isinstance(one, int):
        return one // other
    whole = sizes.quotient(one, other)
    return sizes.bound(one) if whole is None else whole


def higher(one: AnySize, other: AnySize) -> Number:
    """The larger of two."""
    if isinstance(one, int) and isinstance(other, int):
        return max(one, other)
    sized = [number for number in (one, other) if _is_size(number)]  # a negative number is never the larger
    least = max(map(sizes.least, sized))
    return sized[0] if len(sized) == 1 else sizes.bound(sizes.most(*sized), least)


def lower(one: AnySize, other: AnySize) -> Number:
    """The smaller of two."""
    if isinstance(one, int) and isinstance(other, int):
        return min(one, other)
    if not (_is_size(one) and _is_size(other)):
        return None
    return sizes.bound(one if isinstance(one, int) else other, min(sizes.least(one), sizes.least(other)))


def equal(one: AnySize, other: AnySize) -> Number:
    """1 for equal ones, 0 for others; unknown where that may be either."""
    if isinstance(one, int) and isinstance(other, int):
        return int(one == other)
    if not (_is_size(one) and _is_size(other)):
        return 0
    if 0 in (one, other) and sizes.least(one) + sizes.least(other):
        return 0
    return 1 if one == other and sizes.is_exact(one) else None


def chosen(condition: Number, one: Number, other: Number) -> Number:
    """One number where a condition holds, else another; a bound of both where it is not known whether."""
    if condition is not None:
        return one if condition else other
    if one is None or other is None or not (_is_size(one) and _is_size(other)):
        return None
    return sizes.most(one, other)


def each(compute: Callable[..., Number], tensors: Sequence[Tensor]) -> tuple[Number, ...] | None:
    """What is computed number by number of tensors of at most one dimension, each of as many numbers or of one."""
    columns = []
    for tensor in tensors:
        if tensor.numbers is None or tensor.type not in (INT64, BOOL):  # narrower types might overflow
            return None
        columns.append(tensor.numbers)
    count = max(map(len, columns))
    columns = [column * count if len(column) == 1 else column for column in columns]
    if {*map(len, columns)} != {count}:
        return None
    rows = zip(*columns, strict=True)
    if compute is chosen:
        return tuple(_kept(chosen(*row)) for row in rows)
    return tuple(None if None in row else _kept(compute(*row)) for row in rows)


def _kept(number: Number) -> Number:
    """The number, unless it might be too large for 64 bits in some batch."""
    if isinstance(number, int):
        return number if abs(number) < _LARGEST else None
    too_large = number and any(i + j > 2 or count > _LARGEST >> 44 for i, j, count in number.terms)
    return None if too_large else number


def _is_size(number: AnySize) -> bool:
    return isinstance(number, Size) or number >= 0
