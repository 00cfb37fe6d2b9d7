"""What the rules for operators have in common: what a node says, and what of it must be known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stepdown.runtime.graph.onnx import Node
from stepdown.runtime.graph.sizes import AnySize
from stepdown.runtime.graph.values import Tensor, exact

Rule = Callable[[Node, Sequence[Tensor]], Sequence[Tensor]]
"""Gives the outputs of a node from its inputs; raises ValueError where they cannot be told or may not be."""

NOTHING = Tensor(0, ())
"""An optional input that is left out."""


def whole(node: Node, name: str, default: int | None = None) -> int:
    """An attribute that is a whole number."""
    value = node.attributes.get(name, default)
    if not isinstance(value, int):
        raise ValueError(f"its attribute {name!r} is missing or is no whole number")
    return value


def wholes(node: Node, name: str) -> list[int] | None:
    """An attribute that is a list of whole numbers; None where it is left out."""
    value = node.attributes.get(name)
    if value is not None and not isinstance(value, list):
        raise ValueError(f"its attribute {name!r} is no list of whole numbers")
    return value


def place(axis: int, rank: int) -> int:
    """A dimension, counted from the first, of so many."""
    if not -rank <= axis < rank:
        raise ValueError(f"its axis {axis} is none of {rank}")
    return axis % rank


def known(inputs: Sequence[Tensor], index: int) -> list[int] | None:
    """The whole numbers of an input, which must be known; None where it is left out."""
    if len(inputs) <= index or inputs[index] is NOTHING:
        return None
    found = exact(inputs[index])
    if found is None:
        raise ValueError(f"its input {index} is not known before it runs")
    return found


def wanted(tensor: Tensor) -> tuple[AnySize, ...]:
    """The shape that a tensor of whole numbers says."""
    if tensor.numbers is None or len(tensor.dims) != 1:
        raise ValueError("it makes a tensor of a size that is not known before it runs")
    found = []
    for number in tensor.numbers:
        if number is None or (isinstance(number, int) and number < 0):
            raise ValueError("it makes a tensor of a size that is not known before it runs")
        found.append(number)
    return tuple(found)
