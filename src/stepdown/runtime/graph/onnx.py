"""The part of onnx.proto that a network of a bundle may use, as nodes, constants, inputs and outputs.

Refused is what holds other graphs (control flow), code (functions), data that lie elsewhere, or training; and what no
classifier needs: sparse tensors, strings, sequences, maps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from stepdown.runtime.graph import wire

FLOAT32, UINT8, INT8, INT32, INT64, BOOL, FLOAT16, FLOAT64 = 1, 2, 3, 6, 7, 9, 10, 11
ITEM_BYTES: Mapping[int, int] = {
    FLOAT32: 4, UINT8: 1, INT8: 1, INT32: 4, INT64: 8, BOOL: 1, FLOAT16: 2, FLOAT64: 8,
}  # fmt: skip
"""Types of tensors, and the bytes of a number of each."""
WHOLE = frozenset({UINT8, INT8, INT32, INT64})
"""Types of whole numbers."""
MOST_SIZES = 32
"""Constants of so many whole numbers at most can be sizes of something, and are read."""
MOST_DIMS = 8
"""Dimensions of a tensor."""

_MOST_NODES = 10_000
_MOST_CONSTANTS = 10_000
# Versions of the file and of the operators. Below 13 some operators take as attributes what are inputs since; later
# ones no one here looked at yet.
_IR_VERSIONS, _OPSETS = range(4, 11), range(13, 22)

# Fields that are not listed are not known to version 10 of the file, and refused like those that say so.
_SCHEMA = wire.schema("""
    model: 1 ir_version int, 2 producer_name skip, 3 producer_version skip, 4 domain skip, 5 model_version skip, \
6 doc_string skip, 7 graph graph, 8 opset_import opset*, 14 metadata_props skip*, 20 training_info refused, \
25 functions refused
    opset: 1 domain bytes, 2 version int
    graph: 1 node node*, 2 name skip, 5 initializer tensor*, 10 doc_string skip, 11 input value*, 12 output value*, \
13 value_info skip*, 14 quantization_annotation refused, 15 sparse_initializer refused, 16 metadata_props skip*
    node: 1 input bytes*, 2 output bytes*, 3 name skip, 4 op_type bytes, 5 attribute attribute*, 6 doc_string skip, \
7 domain bytes, 8 overload empty, 9 metadata_props skip*
    attribute: 1 name bytes, 2 f float, 3 i int, 4 s bytes, 5 t tensor, 6 g refused, 7 floats skip*, 8 ints ints, \
9 strings bytes*, 10 tensors refused, 11 graphs refused, 13 doc_string skip, 14 tp refused, 15 type_protos refused, \
20 type int, 21 ref_attr_name empty, 22 sparse_tensor refused, 23 sparse_tensors refused
    tensor: 1 dims ints, 2 data_type int, 3 segment refused, 4 float_data bytes, 5 int32_data bytes, \
6 string_data refused, 7 int64_data bytes, 8 name bytes, 9 raw_data bytes, 10 double_data bytes, \
11 uint64_data refused, 12 doc_string skip, 13 external_data refused, 14 data_location empty, 16 metadata_props skip*
    value: 1 name bytes, 2 type type, 3 doc_string skip, 4 metadata_props skip*
    type: 1 tensor_type tensor_type, 6 denotation skip
    tensor_type: 1 elem_type int, 2 shape shape
    shape: 1 dim dim*
    dim: 1 dim_value int, 2 dim_param skip, 3 denotation skip
""")


class Constant(NamedTuple):
    """A tensor that the file holds.

    Attributes:
        type: of its numbers.
        dims: its shape.
        sizes: its numbers in order, where they are few, whole, and of at most one dimension; else None.
    """

    type: int
    dims: tuple[int, ...]
    sizes: tuple[int, ...] | None


Attribute = int | list[int] | str | Constant | None


class Node(NamedTuple):
    """An operator at work.

    Attributes:
        operator: its name, of the domain ai.onnx.
        inputs, outputs: names of values; empty where an optional one is left out.
        attributes: whole numbers, lists of them, words, and constants by name; None for what is of another kind.
    """

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


class Graph(NamedTuple):
    """What an ONNX file says.

    Attributes:
        inputs, outputs: type and number of dimensions by name, in order.
        constants: by name.
        nodes: in the order of computation.
    """

    inputs: Mapping[str, tuple[int, int]]
    outputs: Mapping[str, tuple[int, int]]
    constants: Mapping[str, Constant]
    nodes: tuple[Node, ...]


def read(content: bytes) -> Graph:
    """Read an ONNX file. Raises ValueError where it holds anything but one plain graph of versions that are known."""
    said = wire.Reader(_SCHEMA).read("model", memoryview(content))
    if said.get("ir_version") not in _IR_VERSIONS:
        raise ValueError(f"it is of IR version {said.get('ir_version')}, expected 4 to 10")
    for opset in said.get("opset_import", []):
        _check_domain(opset)
        if opset.get("version") not in _OPSETS:
            raise ValueError(f"it is of opset {opset.get('version')}, expected 13 to 21")
    if len(said.get("opset_import", [])) != 1:
        raise ValueError("it does not name one opset")
    graph = said.get("graph", {})
    nodes, constants = graph.get("node", []), graph.get("initializer", [])
    if len(nodes) > _MOST_NODES or len(constants) > _MOST_CONSTANTS:
        raise ValueError(
            f"it has {len(nodes):,} nodes and {len(constants):,} constants, more than any classifier"
        )
    return Graph(
        _unique((_text(one, "name"), _declared(one)) for one in graph.get("input", [])),
        _unique((_text(one, "name"), _declared(one)) for one in graph.get("output", [])),
        _unique((_text(one, "name"), _constant(one)) for one in constants),
        tuple(map(_node, nodes)),
    )


def _unique(pairs: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if not name or name in found:
            raise ValueError(f"two of its values are called {name!r}")
        found[name] = value
    return found


def _text(message: Mapping[str, Any], field: str) -> str:
    return str(message.get(field, b""), "utf-8")


def _check_domain(message: Mapping[str, Any]) -> None:
    if (domain := _text(message, "domain")) not in ("", "ai.onnx"):
        raise ValueError(f"it has operators of the domain {domain!r}, expected ai.onnx alone")


def _declared(value: Mapping[str, Any]) -> tuple[int, int]:
    tensor = value.get("type", {}).get("tensor_type", {})
    return tensor.get("elem_type", 0), len(tensor.get("shape", {}).get("dim", []))


def _node(said: Mapping[str, Any]) -> Node:
    _check_domain(said)
    return Node(
        _text(said, "op_type"),
        tuple(str(name, "utf-8") for name in said.get("input", [])),
        tuple(str(name, "utf-8") for name in said.get("output", [])),
        _unique((_text(one, "name"), _attribute(one)) for one in said.get("attribute", [])),
    )


# Where an attribute of each type has its value.
_PLACES = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints", 8: "strings"}


def _attribute(said: Mapping[str, Any]) -> Attribute:
    place = _PLACES.get(said.get("type", 0))
    others = {*_PLACES.values(), "type"} & said.keys() - {place, "type"}
    if place is None or others:
        raise ValueError(f"the attribute {_text(said, 'name')!r} is of no known type")
    if place == "i":
        return int(said.get("i", 0))
    if place == "ints":
        return list(said.get("ints", []))
    if place == "s":
        return _text(said, "s")
    return _constant(said.get("t", {})) if place == "t" else None


def _constant(said: Mapping[str, Any]) -> Constant:
    kind, dims = said.get("data_type", 0), tuple(said.get("dims", []))
    name = _text(said, "name")
    if kind not in ITEM_BYTES:
        raise ValueError(f"the tensor {name!r} is of type {kind}, which no classifier needs")
    if len(dims) > MOST_DIMS or min(dims, default=0) < 0:
        raise ValueError(f"the tensor {name!r} has the shape {list(dims)}")
    count = math.prod(dims)
    places = {"raw_data", "float_data", "int32_data", "int64_data", "double_data"} & said.keys()
    place = places.pop() if places else "raw_data"
    part = said.get(place, memoryview(b""))
    if (
        places
        or place not in ("raw_data", _TYPED.get(kind, "int32_data"))
        or _held(place, part, kind) != count
    ):
        raise ValueError(f"the tensor {name!r} does not hold the {count:,} numbers of its shape {list(dims)}")
    if kind not in (INT64, INT32) or len(dims) > 1 or count > MOST_SIZES:
        return Constant(kind, dims, None)
    if place == "raw_data":
        size = ITEM_BYTES[kind]
        numbers = [
            int.from_bytes(part[at : at + size], "little", signed=True) for at in range(0, len(part), size)
        ]
    else:
        numbers = wire.varints(part)
    return Constant(kind, dims, tuple(numbers))


# Where numbers of each type are, if they are not in `raw_data`.
_TYPED = {FLOAT32: "float_data", FLOAT64: "double_data", INT64: "int64_data"}
_CONTINUED = bytes(range(128, 256))


def _held(place: str, part: memoryview, kind: int) -> int:
    """How many numbers a tensor holds; -1 for a part of one."""
    if place in ("int32_data", "int64_data"):
        return len(bytes(part).translate(None, _CONTINUED))
    size = ITEM_BYTES[kind]
    return len(part) // size if len(part) % size == 0 else -1
