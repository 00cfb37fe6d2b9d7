"""What a graph computes, step by step, before it is computed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from stepdown.runtime.graph import sizes, values
from stepdown.runtime.graph.layers import REDUCTIONS
from stepdown.runtime.graph.onnx import FLOAT32, INT64, ITEM_BYTES, MOST_DIMS, Graph, Node
from stepdown.runtime.graph.operators import RULES
from stepdown.runtime.graph.rules import NOTHING
from stepdown.runtime.graph.values import Tensor

# From which input on an operator may leave some out by an empty name. For others, onnxruntime (1.32) ends the process:
# LayerNormalization, Max and Min read what is not there.
_MAY_LACK = {
    "Clip": 1,
    "GRU": 3,
    "Pad": 2,
    "Slice": 3,
    "Split": 1,
    "Squeeze": 1,
    **dict.fromkeys(REDUCTIONS, 1),
}

INPUTS = {"ids": (INT64, 2), "lengths": (INT64, 1)}
OUTPUTS = {"logits": (FLOAT32, 2)}


class Step(NamedTuple):
    """A node at work.

    Attributes:
        node: the node.
        inputs, outputs: what it takes and gives; there may be more outputs than it names.
        is_constant: it depends on no text, and is computed when the graph is loaded.
    """

    node: Node
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    is_constant: bool


def steps(graph: Graph) -> Iterator[Step]:
    """The nodes in their order.

    Raises:
        ValueError: the graph has other inputs and outputs than a network of a bundle, uses an operator that no bundle
            may, or computes what cannot be told before it runs.
    """
    if (graph.inputs, graph.outputs) != (INPUTS, OUTPUTS):
        raise ValueError(
            "it has other inputs and outputs than ids [texts, length] and lengths [texts] of int64 and logits [texts, "
            "labels] of float32"
        )
    known = {"ids": Tensor(INT64, (sizes.BATCH, sizes.LENGTH)), "lengths": Tensor(INT64, (sizes.BATCH,))}
    for name, held in graph.constants.items():
        _define(known, name, values.constant(held))
    for node in graph.nodes:
        inputs = [_input(known, name) for name in node.inputs]
        is_constant = all(one.is_constant for one in inputs if one is not NOTHING)
        outputs = [one._replace(is_constant=is_constant) for one in _outputs(node, inputs)]
        for name, one in zip(node.outputs, outputs, strict=False):
            if name:
                _define(known, name, one)
        yield Step(node, inputs, outputs, is_constant)
    if missing := [name for name in graph.outputs if name not in known]:
        raise ValueError(f"no node computes {missing[0]!r}")


def _define(known: dict[str, Tensor], name: str, tensor: Tensor) -> None:
    if name in known:
        raise ValueError(f"two of its values are called {name!r}")
    known[name] = tensor


def _input(known: Mapping[str, Tensor], name: str) -> Tensor:
    if not name:
        return NOTHING
    if name not in known:
        raise ValueError(f"a node takes {name!r}, which none before it makes")
    return known[name]


def _outputs(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    rule = RULES.get(node.operator)
    if rule is None:
        raise ValueError(f"it uses the operator {node.operator!r}, which no bundle may")
    if NOTHING in inputs[: _MAY_LACK.get(node.operator)]:
        raise ValueError(f"its operator {node.operator} lacks an input")
    try:
        found = rule(node, inputs)
    except ValueError as error:
        raise ValueError(f"its operator {node.operator} was not understood: {error}") from error
    except (IndexError, TypeError) as error:
        raise ValueError(f"its operator {node.operator} has other inputs than it should") from error
    if any(one.type not in ITEM_BYTES for one in found):
        raise ValueError(f"its operator {node.operator} lacks an input")
    if len(found) < len(node.outputs) or any(len(one.dims) > MOST_DIMS for one in found):
        raise ValueError(f"its operator {node.operator} has more outputs or dimensions than it can")
    return found
