"""Weights as small whole numbers: an ONNX graph that stores its matrices so and computes in float32 as before.

A matrix is stored as whole numbers and a scale for each row or each column, whichever comes closer (symmetric, so that
0 stays 0): from −127 to 127, a byte each; tables of embeddings, where that is asked for, from −7 to 7, two in a byte.
The graph multiplies them out by Cast and Mul: onnxruntime does that once, when it loads the graph, so an answer takes
as long as before. It does not do so for DequantizeLinear (1.20 to 1.32, unless `session.disable_quant_qdq` is set),
which made a compact student's answer seven times slower (LOG.md). Two in a byte are taken apart by arithmetic of
float32, which is exact there, and not by ONNX's own type of four bits, which readers must be newer for.

Left out: computing in int8. On processors without AMX or VNNI it gains nothing for networks of this size, and it
changes answers far more than storage does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Stored = Literal["int8", "int4"]

# Smaller ones save nothing worth two nodes.
_SMALLEST = 256
# Of tables, those below save by half bytes less than the nodes that take them apart weigh.
_SMALLEST_TABLE = 4096
# Numbers that share a scale at least: with fewer, the scales (4 bytes) weigh more than a fourth of the numbers.
_FEWEST = 16
_LARGEST = {"int8": 127, "int4": 7}
# What a scale may be of the one that just holds the largest number: with few steps, it pays to cut that off.
_SHARES = {"int8": (1.0,), "int4": tuple(np.linspace(1, 0.5, 26).tolist())}


class Numbers(NamedTuple):
    """A matrix, [..., rows, columns], as `whole` of that shape, int8, times `scale` [..., rows or 1, columns or 1]."""

    whole: np.ndarray
    scale: np.ndarray


def quantised(content: bytes, stored: Stored) -> bytes:
    """The same graph with every float32 matrix of 256 numbers or more stored as whole numbers.

    Args:
        content: of an ONNX file that holds all its weights.
        stored: a byte each; or those of the tables of embeddings in half a byte.
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    tables = _tables(graph) if stored == "int4" else set()
    kept: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight) if weight.data_type == TensorProto.FLOAT else None
        found = None
        in_halves = weight.name in tables and values is not None and values.size >= _SMALLEST_TABLE
        if values is not None and values.size >= _SMALLEST and values.ndim >= 2:
            found = store(values, "int4" if in_halves else "int8")
        if found is None:
            kept.append(weight)
            continue
        held, made = _halves(found, weight.name) if in_halves else _bytes(found, weight.name)
        kept += held
        nodes += made
    nodes += list(graph.node)
    graph.ClearField("initializer")
    graph.ClearField("node")
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString()
    return written


def store(values: np.ndarray, stored: Stored) -> Numbers | None:
    """A matrix as whole numbers and scales, or None where too few numbers would share a scale.

    Args:
        values: float32, shape [..., rows, columns].
        stored: how large whole numbers may be.

    Returns:
        those whose product is nearest to `values` in squared error, among scales of rows and of columns.
    """
    found = None
    least = np.inf
    for axis in (-1, -2):
        if values.shape[axis] < _FEWEST:
            continue
        one = _along(values, axis, stored)
        error = float(np.square(one.whole * one.scale - values).sum())
        if error < least:
            found, least = one, error
    return found


def _along(values: np.ndarray, axis: int, stored: Stored) -> Numbers:
    """As `store`, with a scale for all numbers along an axis."""
    top = _LARGEST[stored]
    largest = np.abs(values).max(axis=axis, keepdims=True)
    # What is nearly nothing is nothing: a scale must not vanish.
    whole_scale = np.where(largest > 1e-30, largest / top, 1).astype(np.float32)
    scale, least = whole_scale, np.full(largest.shape, np.inf)
    for share in _SHARES[stored]:
        tried = np.where(largest > 1e-30, whole_scale * np.float32(share), 1).astype(np.float32)
        error = np.square(_rounded(values, tried, top) * tried - values).sum(axis=axis, keepdims=True)
        scale, least = np.where(error < least, tried, scale), np.minimum(error, least)
    return Numbers(_rounded(values, scale, top), scale)


def _rounded(values: np.ndarray, scale: np.ndarray, top: int) -> np.ndarray:
    whole: np.ndarray = np.clip(np.round(values / scale), -top, top).astype(np.int8)
    return whole


Held = tuple[Sequence[onnx.TensorProto], Sequence[onnx.NodeProto]]
"""Constants, and the nodes that make a matrix of them."""


def _bytes(numbers: Numbers, name: str) -> Held:
    held = [
        numpy_helper.from_array(numbers.whole, f"{name}_int8"),
        numpy_helper.from_array(numbers.scale, f"{name}_scale"),
    ]
    nodes = [
        helper.make_node("Cast", [f"{name}_int8"], [f"{name}_whole"], to=TensorProto.FLOAT),
        helper.make_node("Mul", [f"{name}_whole", f"{name}_scale"], [name]),
    ]
    return held, nodes


def _halves(numbers: Numbers, name: str) -> Held:
    """Byte by byte the first half of the rows plus 8, and 16 times the second half plus 8."""
    rows = len(numbers.whole)
    low, high = np.array_split(numbers.whole, [-(-rows // 2)])
    if len(high) < len(low):
        high = np.concatenate([high, np.zeros_like(low[:1])])
    packed = (low + 8 + 16 * (high.astype(np.int16) + 8)).astype(np.uint8)
    constants: dict[str, np.ndarray] = {
        "int4": packed,
        "sixteenth": np.array(1 / 16, np.float32),
        "sixteen": np.array(16, np.float32),
        "eight": np.array(8, np.float32),
        "first": np.array([0], np.int64),
        "rows": np.array([rows], np.int64),
        "scale": numbers.scale,
    }

    def node(operator: str, taken: Sequence[str], made: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(operator, [f"{name}_{one}" for one in taken], [f"{name}{made}"], **attributes)

    nodes = [
        node("Cast", ["int4"], "_bytes", to=TensorProto.FLOAT),
        node("Mul", ["bytes", "sixteenth"], "_shifted"),
        node("Floor", ["shifted"], "_high"),
        node("Mul", ["high", "sixteen"], "_high_part"),
        node("Sub", ["bytes", "high_part"], "_low"),
        node("Concat", ["low", "high"], "_both", axis=0),
        node("Slice", ["both", "first", "rows", "first"], "_all"),
        node("Sub", ["all", "eight"], "_whole"),
        node("Mul", ["whole", "scale"], ""),
    ]
    return [numpy_helper.from_array(value, f"{name}_{key}") for key, value in constants.items()], nodes


def _tables(graph: onnx.GraphProto) -> set[str]:
    """Names of the constants of which rows are taken by ids, also where they are padded and put together before."""
    makers = {name: node for node in graph.node for name in node.output}
    waiting = [node.input[0] for node in graph.node if node.op_type == "Gather"]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        maker = makers.get(name)
        if maker is None:
            found.add(name)
        elif maker.op_type in ("Pad", "Concat"):
            waiting += maker.input[:1] if maker.op_type == "Pad" else maker.input
    return found
