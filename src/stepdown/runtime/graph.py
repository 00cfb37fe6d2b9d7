"""Looks into an ONNX file before onnxruntime does: no foreign files, no foreign operators, no endless loop.

The runtime has no `onnx` package, and needs little of it: ONNX files are protocol buffers, whose encoding is
a few rules (https://protobuf.dev/programming-guides/encoding). Only the fields named below are followed.
"""

from __future__ import annotations

from collections.abc import Iterator

from stepdown.errors import BundleError

# Which fields of a message hold which messages: the part of onnx.proto that can hide a tensor or a node.
_INNER = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "function": {7: "node", 9: "opset", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {
        5: "tensor",
        6: "graph",
        10: "tensor",
        11: "graph",
        22: "sparse tensor",
        23: "sparse tensor",
    },
    "sparse tensor": {1: "tensor", 2: "tensor"},
}
# Fields by message and number: an operator's name, the domain of operators, and data that lie elsewhere.
_OPERATOR = ("node", 4)
_DOMAIN = frozenset({("node", 7), ("opset", 1)})
_OUTSIDE = frozenset({("tensor", 13), ("tensor", 14)})
_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
# Loops could run for ever; a context node loads a file of a vendor's.
_REFUSED = frozenset({"Loop", "Scan", "EPContext"})
_DEEPEST = 20


def check(content: bytes, where: str) -> None:
    """Look through the graph of an ONNX file.

    Args:
        content: of the file.
        where: names it in errors.

    Raises:
        BundleError: it is no ONNX file, or refers to other files, or holds what a classifier does not need.
    """
    try:
        _walk(memoryview(content), where)
    except (IndexError, ValueError) as error:
        raise BundleError(f"{where} is no ONNX file: {error}. Export the bundle again.") from error


def _walk(content: memoryview, where: str) -> None:
    waiting = [("model", content, 0)]
    graphs = 0
    while waiting:
        kind, part, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        graphs += kind == "graph"
        inner = _INNER.get(kind, {})
        for number, value in _fields(part):
            _judge(kind, number, value, where)
            if number in inner:
                if isinstance(value, int):
                    raise ValueError(f"a {inner[number]} is a number")
                waiting.append((inner[number], value, depth + 1))
    if not graphs:
        raise ValueError("it has no graph")


def _judge(kind: str, number: int, value: memoryview | int, where: str) -> None:
    place = (kind, number)
    if kind == "training" or (place in _OUTSIDE and value):
        raise BundleError(
            f"{where} refers to data outside itself or to training. A bundle's graph holds all its weights: "
            "do not trust this one."
        )
    if place in _DOMAIN and (name := _text(value)) not in _DOMAINS:
        raise BundleError(
            f"{where} uses operators of the domain {name!r}, which no bundle may. Do not trust it."
        )
    if place == _OPERATOR and (name := _text(value)) in _REFUSED:
        raise BundleError(f"{where} uses the operator {name}, which no bundle may. Do not trust it.")


def _text(value: memoryview | int) -> str:
    if isinstance(value, int):
        raise ValueError("a name is a number")
    return bytes(value).decode("utf-8")


def _fields(part: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field of a message, in order."""
    at = 0
    while at < len(part):
        key, at = _varint(part, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(part, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(part, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"unknown encoding {kind}")
        if size > len(part) - at:
            raise ValueError("it ends too soon")
        yield number, part[at : at + size]
        at += size


def _varint(part: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = part[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is too long")
