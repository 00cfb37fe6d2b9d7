"""How much work an operator is, in multiplications or the like, and what memory it needs beside its outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stepdown.runtime.graph import sizes
from stepdown.runtime.graph.layers import REDUCTIONS
from stepdown.runtime.graph.onnx import Node
from stepdown.runtime.graph.sizes import AnySize
from stepdown.runtime.graph.values import Tensor

_Count = Callable[[Node, Sequence[Tensor], Sequence[Tensor]], AnySize]

# How many multiplications a function such as the exponential takes the time of.
_SLOW = 8


def work(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    """The work of a node."""
    return _WORK.get(node.operator, _outputs)(node, inputs, outputs)


def scratch(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    """Bytes that a node needs while it works."""
    if node.operator == "Conv":
        window, places = inputs[1].dims[1:], (inputs[0].dims[0], *outputs[0].dims[2:])
        return sizes.product((4, *window, *places))
    if node.operator == "GRU":
        return sizes.product((32, outputs[0].size))  # the gates, twice
    return 0


def _outputs(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    return outputs[0].size if len(outputs) == 1 else sizes.product((len(outputs), inputs[0].size))


def _inputs(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    return inputs[0].size


def _functions(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    return sizes.product((_SLOW, outputs[0].size))


def _matmul(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    return sizes.product((outputs[0].size, inputs[0].dims[-1]))


def _gemm(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    inner = inputs[0].dims[0 if node.attributes.get("transA") else 1]
    return sizes.product((outputs[0].size, inner))


def _conv(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    return sizes.product((outputs[0].size, *inputs[1].dims[1:]))


def _pool(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    return sizes.product((outputs[0].size, *inputs[0].dims[2:]))


def _gru(node: Node, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> AnySize:
    read, hidden = inputs[0].dims[2], inputs[2].dims[2]
    return sizes.product((3, outputs[0].size, sizes.plus(read, hidden)))


_FUNCTIONS = """
    Cos Elu Erf Exp Gelu HardSwish LayerNormalization Log LogSoftmax Mish Pow Sigmoid Sin Softmax Softplus Tanh
"""
_WORK: Mapping[str, _Count] = {
    **dict.fromkeys(_FUNCTIONS.split(), _functions),
    **dict.fromkeys(REDUCTIONS, _inputs),
    **dict.fromkeys(("ArgMax", "ArgMin", "NonZero"), _inputs),
    "AveragePool": _pool,
    "Conv": _conv,
    "GRU": _gru,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MaxPool": _pool,
}
