"""Operators that take by position, reduce dimensions, multiply matrices, and move along texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepdown.runtime.graph import sizes, values
from stepdown.runtime.graph.onnx import INT64, Node
from stepdown.runtime.graph.rules import Rule, known, place, whole, wholes
from stepdown.runtime.graph.sizes import AnySize
from stepdown.runtime.graph.values import Tensor, exact


def _gather(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, indices = inputs
    at = place(whole(node, "axis", 0), len(data.dims))
    dims = (*data.dims[:at], *indices.dims, *data.dims[at + 1 :])
    numbers, wanted = None, exact(indices)
    if data.numbers is not None and wanted is not None and len(indices.dims) <= 1:
        held = data.numbers
        if not all(-len(held) <= index < len(held) for index in wanted):
            raise ValueError("it takes what is not there")
        numbers = tuple(held[index] for index in wanted)
    return [Tensor(data.type, dims, numbers)]


def _like_indices(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return [Tensor(inputs[0].type, inputs[1].dims)]


def _gather_nd(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, indices = inputs
    batch = whole(node, "batch_dims", 0)
    depth = indices.dims[-1] if indices.dims else None
    if not isinstance(depth, int) or not (batch >= 0 and batch + depth <= len(data.dims)):
        raise ValueError("it takes what is not known before it runs")
    return [Tensor(data.type, (*indices.dims[:-1], *data.dims[batch + depth :]))]


def _non_zero(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return [Tensor(INT64, (len(inputs[0].dims), sizes.bound(inputs[0].size)))]


def _reduce(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, axes = inputs[0], wholes(node, "axes")
    axes = known(inputs, 1) if axes is None else axes
    if not axes and whole(node, "noop_with_empty_axes", 0):
        return [data]
    rank = len(data.dims)
    places = {place(axis, rank) for axis in axes or range(rank)}
    filled = all(sizes.least(data.dims[at]) for at in places)
    low = data.least if node.operator == "ReduceMax" and filled else None
    return [Tensor(data.type, _reduced(node, data.dims, places), low=low)]


def _reduced(node: Node, dims: Sequence[AnySize], places: set[int]) -> tuple[AnySize, ...]:
    if whole(node, "keepdims", 1):
        return tuple(1 if index in places else size for index, size in enumerate(dims))
    return tuple(size for index, size in enumerate(dims) if index not in places)


def _arg(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    at = place(whole(node, "axis", 0), len(inputs[0].dims))
    return [Tensor(INT64, _reduced(node, inputs[0].dims, {at}))]


def _matmul(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    one, other = (list(tensor.dims) for tensor in inputs)
    if not one or not other:
        raise ValueError("it multiplies what is no matrix")
    rows, columns = one[-2:-1], other[-1:] if len(other) > 1 else []
    return [Tensor(inputs[0].type, (*values.broadcast([one[:-2], other[:-2]]), *rows, *columns))]


def _gemm(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    one, other = (tensor.dims for tensor in inputs[:2])
    if len(one) != 2 or len(other) != 2:
        raise ValueError("it multiplies what is no matrix")
    rows, columns = one[bool(whole(node, "transA", 0))], other[not whole(node, "transB", 0)]
    return [Tensor(inputs[0].type, (rows, columns))]


def _window(node: Node, dims: Sequence[AnySize], kernel: Sequence[int]) -> list[AnySize]:
    """What a window that moves over the dimensions leaves of each."""
    count = len(dims)
    steps, gaps = wholes(node, "strides") or [1] * count, wholes(node, "dilations") or [1] * count
    pads = wholes(node, "pads") or [0] * 2 * count
    if not (
        len(kernel) == len(steps) == len(gaps) == len(pads) / 2 == count
        and min(*kernel, *steps, *gaps, 1) == 1
        and min(*pads, 0) == 0
        and node.attributes.get("auto_pad", "NOTSET") == "NOTSET"
        and wholes(node, "kernel_shape") in (None, [*kernel])
    ):
        raise ValueError("its window does not fit")
    found: list[AnySize] = []
    for index, size in enumerate(dims):
        more = pads[index] + pads[index + count] - gaps[index] * (kernel[index] - 1)
        step, round_up = steps[index], steps[index] - 1
        if isinstance(size, int):
            found.append(max(0, (size + more - 1 + round_up) // step + 1))
        elif step == 1 and more == 0:
            found.append(size)
        else:
            found.append(sizes.bound(sizes.plus(size, max(0, more) + 1)))
    return found


def _conv(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, kernel = inputs[:2]
    window = [size for size in kernel.dims[2:] if isinstance(size, int)]
    if not len(data.dims) == len(kernel.dims) == len(window) + 2 > 2 or whole(node, "group", 1) < 1:
        raise ValueError("its window does not fit")
    return [Tensor(data.type, (data.dims[0], kernel.dims[0], *_window(node, data.dims[2:], window)))]


def _pool(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, kernel = inputs[0], wholes(node, "kernel_shape") or []
    return [Tensor(data.type, (*data.dims[:2], *_window(node, data.dims[2:], kernel)))]


def _gru(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """Of at least one word of one text: onnxruntime (1.32) ends the process for none."""
    data, weights, states = inputs[:3]
    if not len(data.dims) == len(weights.dims) == len(states.dims) == 3 or whole(node, "layout", 0):
        raise ValueError("its inputs do not fit")
    length, batch, _ = data.dims
    ways, hidden = states.dims[0], states.dims[2]
    if not (sizes.least(length) and sizes.least(batch) and isinstance(hidden, int) and hidden > 0):
        raise ValueError("it may be given no word at all")
    return [Tensor(data.type, (length, ways, batch, hidden)), Tensor(data.type, (ways, batch, hidden))]


REDUCTIONS = (
    "ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare",
)  # fmt: skip
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(REDUCTIONS, _reduce),
    "ArgMax": _arg,
    "ArgMin": _arg,
    "AveragePool": _pool,
    "Conv": _conv,
    "GRU": _gru,
    "Gather": _gather,
    "GatherElements": _like_indices,
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "NonZero": _non_zero,
}
