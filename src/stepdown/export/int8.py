"""Weights of one byte: an ONNX graph that holds its matrices as int8 and computes in float32 as before.

A matrix is stored as whole numbers from −127 to 127 and a scale for each row or each column, whichever comes closer
(symmetric, so that 0 stays 0). The graph multiplies them out by Cast and Mul: onnxruntime does that once, when it
loads the graph, so an answer takes as long as before. It does not do so for DequantizeLinear (1.20 to 1.32, unless
`session.disable_quant_qdq` is set), which made a compact student's answer seven times slower (LOG.md).

Left out: computing in int8. On processors without AMX or VNNI it gains nothing for networks of this size, and it
changes answers far more than storage does.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Smaller ones save nothing worth two nodes.
_SMALLEST = 256
# Numbers that share a scale at least: with fewer, the scales (4 bytes) weigh more than a fourth of the numbers.
_FEWEST = 16


def quantised(content: bytes) -> bytes:
    """The same graph with every float32 matrix of 256 numbers or more stored as int8.

    Args:
        content: of an ONNX file that holds all its weights.
    """
    model = onnx.load_from_string(content)
    graph = model.graph
    kept, nodes = [], []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight) if weight.data_type == TensorProto.FLOAT else None
        stored = None if values is None or values.size < _SMALLEST or values.ndim < 2 else store(values)
        if stored is None:
            kept.append(weight)
            continue
        whole, scale = stored
        name = weight.name
        kept += [
            numpy_helper.from_array(whole, f"{name}_int8"),
            numpy_helper.from_array(scale, f"{name}_scale"),
        ]
        nodes += [
            helper.make_node("Cast", [f"{name}_int8"], [f"{name}_whole"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_whole", f"{name}_scale"], [name]),
        ]
    nodes += list(graph.node)
    graph.ClearField("initializer")
    graph.ClearField("node")
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    made: bytes = model.SerializeToString()
    return made


def store(values: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """A matrix as whole numbers and scales, or None where too few numbers would share a scale.

    Args:
        values: float32, shape [..., rows, columns].

    Returns:
        int8, of the same shape, and float32, shape [..., rows, 1] or [..., 1, columns]: their product is nearest
        to `values` in squared error.
    """
    found = None
    least = np.inf
    for axis in (-1, -2):
        if values.shape[axis] < _FEWEST:
            continue
        largest = np.abs(values).max(axis=axis, keepdims=True)
        # What is nearly nothing is nothing: a scale must not vanish.
        scale = np.where(largest > 1e-30, largest / 127, 1).astype(np.float32)
        whole = np.clip(np.round(values / scale), -127, 127).astype(np.int8)
        error = float(np.square(whole * scale - values).sum())
        if error < least:
            found, least = (whole, scale), error
    return found
