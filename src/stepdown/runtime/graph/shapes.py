"""Operators that make, change, cut and join shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stepdown.runtime.graph import sizes, values
from stepdown.runtime.graph.onnx import FLOAT32, INT64, MOST_SIZES, Constant, Node
from stepdown.runtime.graph.rules import NOTHING, Rule, known, place, wanted, whole, wholes
from stepdown.runtime.graph.sizes import AnySize
from stepdown.runtime.graph.values import Number, Tensor

# Where a slice goes to the end: what exporters write.
_TO_THE_END = (1 << 31) - 1


def _shape(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    rank = len(inputs[0].dims)
    start, end = whole(node, "start", 0), whole(node, "end", rank)
    return [values.vector(inputs[0].dims[slice(start, end)])]


def _size(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    return [Tensor(INT64, (), (inputs[0].size,))]


def _constant(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    attributes = node.attributes
    if isinstance(held := attributes.get("value"), Constant):
        return [values.constant(held)]
    if "value_int" in attributes:
        return [Tensor(INT64, (), (whole(node, "value_int"),))]
    if (numbers := wholes(node, "value_ints")) is not None:
        return [values.vector(numbers)]
    if "value_float" in attributes:
        return [Tensor(FLOAT32, ())]
    raise ValueError("it holds no tensor")


def _constant_of_shape(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    held = node.attributes.get("value")
    fill = held if isinstance(held, Constant) else Constant(FLOAT32, (1,), None)
    dims = wanted(inputs[0])
    return [Tensor(fill.type, dims, _spread(fill.sizes, dims))]


def _expand(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    dims = values.broadcast([inputs[0].dims, wanted(inputs[1])])
    return [Tensor(inputs[0].type, dims, _spread(inputs[0].numbers, dims))]


def _spread(numbers: Sequence[Number] | None, dims: Sequence[AnySize]) -> tuple[Number, ...] | None:
    """The one number of a tensor as those of a vector of this shape."""
    count = sizes.product(dims)
    if (
        numbers is None
        or len(numbers) != 1
        or len(dims) > 1
        or not isinstance(count, int)
        or count > MOST_SIZES
    ):
        return None
    return tuple(numbers) * count


def _tile(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    times = wanted(inputs[1])
    if len(times) != len(inputs[0].dims):
        raise ValueError("it repeats other dimensions than there are")
    return [Tensor(inputs[0].type, tuple(map(sizes.product, zip(inputs[0].dims, times, strict=True))))]


def _range(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    start, end, step = (one.numbers[0] if one.numbers else None for one in inputs)
    if end is None or not isinstance(start, int) or not isinstance(step, int) or step == 0:
        raise ValueError("it counts to what is not known before it runs")
    if isinstance(end, int):
        counted = range(start, end, step)
        numbers = tuple(counted) if len(counted) <= MOST_SIZES else None
        return [Tensor(inputs[0].type, (len(counted),), numbers)]
    if step < 0:
        raise ValueError("it counts down from what is not known before it runs")
    size = end if (start, step) == (0, 1) else sizes.bound(sizes.plus(end, max(0, -start)))
    return [Tensor(inputs[0].type, (size,), low=start)]


def _reshape(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, shape = inputs
    if shape.numbers is None or len(shape.dims) != 1:
        raise ValueError("it makes a shape that is not known before it runs")
    count, copies = data.size, not whole(node, "allowzero", 0)
    dims: list[AnySize] = []
    copied = []
    for index, number in enumerate(shape.numbers):
        own = data.dims[index] if copies and index < len(data.dims) else None
        if number == 0 and own is not None:
            dims.append(own)
            copied.append(index)
        elif isinstance(number, int) and number >= 0:
            dims.append(number)
        elif isinstance(number, int) or number is None:
            dims.append(sizes.bound(count))
        elif sizes.least(number) or own is None:
            dims.append(number)
        else:
            dims.append(sizes.most(number, own))  # what is 0 after all is copied
    open_ones = [index for index, number in enumerate(shape.numbers) if number is None or number == -1]
    if len(open_ones) == 1 and data.most is None:
        (index,) = open_ones
        # What is copied cancels out, even where only a bound of it is known.
        rest = sizes.product(size for place, size in enumerate(data.dims) if place not in copied)
        given = sizes.product(size for place, size in enumerate(dims) if place not in (*copied, index))
        left = sizes.quotient(rest, given)
        dims[index] = dims[index] if left is None else left
    kept = data.numbers if len(dims) <= 1 else None
    return [data._replace(dims=tuple(dims), numbers=kept, most=None if _all_exact(dims) else count)]


def _all_exact(dims: Sequence[AnySize]) -> bool:
    return all(map(sizes.is_exact, dims))


def _unsqueeze(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, axes = inputs[0], known(inputs, 1) or []
    rank = len(data.dims) + len(axes)
    places = {place(axis, rank) for axis in axes}
    if len(places) != len(axes):
        raise ValueError("it has an axis twice")
    rest = iter(data.dims)
    dims = tuple(1 if index in places else next(rest) for index in range(rank))
    return [data._replace(dims=dims, numbers=data.numbers if rank <= 1 else None)]


def _squeeze(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, axes = inputs[0], known(inputs, 1)
    if axes is None:
        if not all(isinstance(size, int) for size in data.dims):
            raise ValueError("it drops dimensions that are not known before it runs")
        places = {index for index, size in enumerate(data.dims) if size == 1}
    else:
        places = {place(axis, len(data.dims)) for axis in axes}
    dims = tuple(size for index, size in enumerate(data.dims) if index not in places)
    return [data._replace(dims=dims)]


def _flatten(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    dims, axis = inputs[0].dims, whole(node, "axis", 1)
    at = axis if axis == len(dims) else place(axis, len(dims))
    return [Tensor(inputs[0].type, (sizes.product(dims[:at]), sizes.product(dims[at:])))]


def _transpose(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    rank = len(inputs[0].dims)
    order = wholes(node, "perm") or list(range(rank))[::-1]
    if sorted(order) != list(range(rank)):
        raise ValueError(f"it puts {rank} dimensions in the order {order}")
    dims = tuple(inputs[0].dims[index] for index in order)
    return [inputs[0]._replace(dims=dims, numbers=None)]


def _concat(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    ranks = {len(one.dims) for one in inputs}
    if len(ranks) != 1:
        raise ValueError("it joins tensors of several numbers of dimensions")
    at = place(whole(node, "axis"), ranks.pop())
    dims = [values.same(own) for own in zip(*(one.dims for one in inputs), strict=True)]
    size: AnySize = 0
    for one in inputs:
        size = sizes.plus(size, one.dims[at])
    dims[at] = size
    numbers: list[Number] = []
    for one in inputs:
        numbers += one.numbers or ()
    is_known = len(dims) == 1 and dims == [len(numbers)] and len(numbers) <= MOST_SIZES
    return [Tensor(inputs[0].type, tuple(dims), tuple(numbers) if is_known else None)]


def _split(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, parts = inputs[0], len(node.outputs)
    at = place(whole(node, "axis", 0), len(data.dims))
    own: Sequence[AnySize]
    if len(inputs) > 1 and inputs[1] is not NOTHING:
        own = wanted(inputs[1])
    elif whole(node, "num_outputs", parts) != parts:
        raise ValueError("it has other outputs than it says")
    elif isinstance(size := data.dims[at], int):
        each = -(-size // parts)
        own = [min(each, max(0, size - each * index)) for index in range(parts)]
    else:
        each_size = sizes.quotient(size, parts)
        own = [sizes.bound(size) if each_size is None else each_size] * parts
    if len(own) != parts:
        raise ValueError("it has other outputs than it says")
    return [Tensor(data.type, (*data.dims[:at], size, *data.dims[at + 1 :])) for size in own]


def _slice(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    data, starts, ends = inputs[:3]
    count = len(starts.numbers or ())
    axes, steps = known(inputs, 3) or list(range(count)), known(inputs, 4) or [1] * count
    to = ends.numbers or (None,) * count
    if not starts.numbers or not count == len(to) == len(axes) == len(steps):
        # Where it begins is not known: what is left is a part of it.
        return [Tensor(data.type, tuple(map(sizes.bound, data.dims)))]
    dims, numbers = list(data.dims), data.numbers
    for start, end, axis, step in zip(starts.numbers, to, axes, steps, strict=True):
        at = place(axis, len(dims))
        if isinstance(start, int) and isinstance(end, int) and step > 0:
            numbers = None if numbers is None else numbers[start:end:step]
        else:
            numbers = None
        dims[at] = _part(dims[at], start, end, step, ends.least)
    return [Tensor(data.type, tuple(dims), numbers)]


def _part(size: AnySize, start: Number, end: Number, step: int, lowest_end: int | None) -> AnySize:
    """The size of a part of a dimension."""
    whole_of_it = start == 0 and step == 1 and isinstance(end, int) and end >= _TO_THE_END
    if whole_of_it or (start == 0 and step == 1 and end == size and sizes.is_exact(size)):
        return size
    if isinstance(start, int) and isinstance(end, int) and step > 0:
        if isinstance(size, int):
            return len(range(*slice(start, end, step).indices(size)))
        if start == -1 and end >= _TO_THE_END and sizes.least(size):
            return 1
        if start >= 0 and 0 <= end < _TO_THE_END:
            return sizes.bound(max(0, end - start), int(start == 0 and end > 0 and sizes.least(size)))
    least = int(start == 0 and step == 1 and (lowest_end or 0) > 0 and sizes.least(size))
    if isinstance(size, int) and start == 0 and step == 1 and end is not None and not isinstance(end, int):
        return sizes.bound(end, least)  # such as the first L of all positions
    return sizes.bound(size, least)


def _pad(node: Node, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    rank = len(inputs[0].dims)
    pads, axes = known(inputs, 1) or [], known(inputs, 3)
    places = [place(axis, rank) for axis in (range(rank) if axes is None else axes)]
    if len(pads) != 2 * len(places):
        raise ValueError(f"it pads {rank} dimensions by {len(pads)} numbers")
    dims = list(inputs[0].dims)
    for index, at in enumerate(places):
        by, size = pads[index] + pads[index + len(places)], dims[at]
        if isinstance(size, int):
            dims[at] = max(0, size + by)
        else:
            dims[at] = sizes.plus(size, by) if by >= 0 else sizes.bound(size)
    return [Tensor(inputs[0].type, tuple(dims))]


RULES: Mapping[str, Rule] = {
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _flatten,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "Shape": _shape,
    "Size": _size,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
