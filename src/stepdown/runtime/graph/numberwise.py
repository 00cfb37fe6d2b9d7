"""Operators that compute number by number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stepdown.runtime.graph import sizes, values
from stepdown.runtime.graph.onnx import BOOL, FLOAT32, ITEM_BYTES, WHOLE, Node
from stepdown.runtime.graph.rules import Rule, whole
from stepdown.runtime.graph.values import Number, Tensor


def _same(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return [inputs[0]._replace(numbers=None, low=None)]


def _identity(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return [inputs[0]]


def _truth(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return [Tensor(BOOL, values.broadcast([one.dims for one in inputs]))]


def _broadcast(compute: Callable[..., Number] | None = None) -> Rule:
    def rule(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        numbers = values.each(compute, inputs) if compute else None
        return [Tensor(inputs[0].type, values.broadcast([one.dims for one in inputs]), numbers)]

    return rule


def _compare(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    (found,) = _truth(node, inputs)
    return [found._replace(numbers=values.each(values.equal, inputs))]


def _divide(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """Of whole numbers only by known ones above 0: dividing the lowest by −1 ends the process."""
    first, second = inputs
    if first.type in WHOLE and (second.least is None or second.least < 1):
        raise ValueError("it divides whole numbers by what may be no positive number")
    return _broadcast(values.over if node.operator == "Div" else None)(node, inputs)


def _max(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    (found,) = _broadcast(values.higher if len(inputs) == 2 else None)(node, inputs)
    lows = [one.least for one in inputs if one.least is not None]
    return [found._replace(low=max(lows, default=None) if found.numbers is None else None)]


def _where(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    condition, one, other = inputs
    dims = values.broadcast([condition.dims, one.dims, other.dims])
    return [Tensor(one.type, dims, values.each(values.chosen, inputs))]


def _cast(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    kind = whole(node, "to")
    if kind not in ITEM_BYTES:
        raise ValueError(f"it makes numbers of type {kind}, which no classifier needs")
    return [values.cast(inputs[0], kind)]


def _dequantize(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return [Tensor(inputs[1].type, inputs[0].dims)]


def _layer_normalization(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    statistics = Tensor(FLOAT32, tuple(map(sizes.bound, inputs[0].dims)))
    return [Tensor(inputs[0].type, inputs[0].dims), statistics, statistics]


_SAME = """
    Abs Ceil Clip Cos CumSum Elu Erf Exp Floor Gelu HardSigmoid HardSwish LeakyRelu Log LogSoftmax Mish Neg Not
    Reciprocal Relu Round ScatterElements ScatterND Sigmoid Sign Sin Softmax Softplus Softsign Sqrt Tanh Trilu
"""
_TRUTHS = "And Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Or Xor"
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_SAME.split(), _same),
    **dict.fromkeys(_TRUTHS.split(), _truth),
    "Add": _broadcast(values.plus),
    "Cast": _cast,
    "DequantizeLinear": _dequantize,
    "Div": _divide,
    "Equal": _compare,
    "Identity": _identity,
    "LayerNormalization": _layer_normalization,
    "Max": _max,
    "Mean": _broadcast(),
    "Min": _broadcast(values.lower),
    "Mod": _divide,
    "Mul": _broadcast(values.times),
    "PRelu": _broadcast(),
    "Pow": _broadcast(),
    "Sub": _broadcast(values.minus),
    "Sum": _broadcast(),
    "Where": _where,
}
