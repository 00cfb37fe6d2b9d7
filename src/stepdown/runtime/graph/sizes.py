"""Sizes of tensors as polynomials in B texts and L ids: bounds that hold whatever B and L turn out to be.

A size is a whole number, or a `Size`: a polynomial in B and L of which no term is negative. Sums and products of such
are such, and so is every bound that is made of them here. Over all B and L of at least 1 of which B · L is bounded,
such a polynomial is largest where B or L is 1, as it is convex in log B and log L: two evaluations bound all batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

Terms = tuple[tuple[int, int, int], ...]
"""Powers of B and of L, and how often their product is taken; each pair of powers once."""

# Beyond, it is no classifier's shape that is computed.
_MOST_TERMS, _HIGHEST_POWER, _LARGEST = 12, 6, 1 << 62


class Size(NamedTuple):
    """A size that depends on the batch, or is only bounded.

    Attributes:
        terms: of the polynomial.
        is_exact: the size is that; else it is at most that.
        least: what the size is at least: 0, or 1 where it is known to be no less.
    """

    terms: Terms
    is_exact: bool = True
    least: int = 1


AnySize = int | Size

BATCH, LENGTH = Size(((1, 0, 1),)), Size(((0, 1, 1),))


def at(size: AnySize, texts: int, length: int) -> int:
    """The size, or its bound, for so many texts of so many ids."""
    if isinstance(size, int):
        return size
    return sum([count * texts**i * length**j for i, j, count in size.terms])


def product(sizes: Iterable[AnySize]) -> AnySize:
    """The product of sizes; 1 for none."""
    number: AnySize = 1
    for size in sizes:
        if isinstance(number, int) and isinstance(size, int):
            number *= size
        elif number != 1:
            number = _times(number, size)
        else:
            number = size
    return number if isinstance(number, Size) else _checked(number)


def plus(one: AnySize, other: AnySize) -> AnySize:
    """The sum of two sizes."""
    if isinstance(one, int) and isinstance(other, int):
        return _checked(one + other)
    found = dict(_terms(one))
    for powers, count in _terms(other).items():
        found[powers] = found.get(powers, 0) + count
    return _size(found, is_exact(one) and is_exact(other), max(least(one), least(other)))


def most(one: AnySize, other: AnySize) -> AnySize:
    """A bound of both sizes."""
    if one == other:
        return one
    found = dict(_terms(one))
    for powers, count in _terms(other).items():
        found[powers] = max(found.get(powers, 0), count)
    return _size(found, False, min(least(one), least(other)))


def bound(size: AnySize, least: int = 0) -> Size:
    """What is at most that size, and at least 0 or 1."""
    return _size(_terms(size), False, least)


def quotient(size: AnySize, divisor: AnySize) -> AnySize | None:
    """What times the divisor is the size, or a bound of it where the size is one; None where that is no size.

    The divisor must be exact, and a single product, or it is None, too.
    """
    divided = _terms(divisor)
    if not is_exact(divisor) or len(divided) != 1:
        return None
    (((i, j), by),) = divided.items()
    found = {}
    for (a, b), count in _terms(size).items():
        if a < i or b < j or (count % by and is_exact(size)):
            return None
        found[a - i, b - j] = -(-count // by)
    if is_exact(size) and found.keys() <= {(0, 0)}:
        return found.get((0, 0), 0)
    return _size(found, is_exact(size), least(size))


def is_exact(size: AnySize) -> bool:
    """Whether it is the size itself and no mere bound."""
    return isinstance(size, int) or size.is_exact


def least(size: AnySize) -> int:
    """What the size is at least: 0, or 1 where it is known to be no less."""
    return size.least if isinstance(size, Size) else min(size, 1)


def _terms(size: AnySize) -> Mapping[tuple[int, int], int]:
    if isinstance(size, int):
        return {(0, 0): size} if size else {}
    return {(i, j): count for i, j, count in size.terms}


def _times(one: AnySize, other: AnySize) -> AnySize:
    if 0 in (one, other):
        return 0
    found: dict[tuple[int, int], int] = {}
    for (a, b), count in _terms(one).items():
        for (i, j), times in _terms(other).items():
            found[a + i, b + j] = found.get((a + i, b + j), 0) + count * times
    return _size(found, is_exact(one) and is_exact(other), least(one) * least(other))


def _size(terms: Mapping[tuple[int, int], int], is_exact: bool, least: int) -> Size:
    if len(terms) > _MOST_TERMS or any(max(powers) > _HIGHEST_POWER for powers in terms):
        raise ValueError("it makes tensors that grow too fast with the texts")
    return Size(tuple([(i, j, _checked(terms[i, j])) for i, j in sorted(terms)]), is_exact, least)


def _checked(number: int) -> int:
    if number > _LARGEST:
        raise ValueError("it makes tensors larger than any memory")
    return number
