"""Looks into the network of a bundle before onnxruntime does, so that a stranger's can do nothing but classify.

    wire        protocol buffers, read strictly
    onnx        the part of the ONNX format that a network may use: one plain graph that holds all its numbers
    sizes       sizes as bounds over all batches
    values      what is known of a tensor before it is computed
    rules, numberwise, shapes, layers
                the shapes that operators give
    operators   the operators that are allowed
    steps       what a graph computes, before it is computed
    work        what operators cost
    bounds      what a network of its size may ask for

The runtime has no `onnx` package, and needs little of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepdown.errors import BundleError
from stepdown.runtime.graph import bounds, onnx
from stepdown.runtime.graph.bounds import Batch

__all__ = ["Batch", "check"]


def check(content: bytes, batches: Sequence[Batch], where: str) -> int:
    """Look through an ONNX file.

    Args:
        content: of the file.
        batches: the largest batches that it will be asked for, of the shortest texts and of the longest.
        where: names it in errors.

    Returns:
        Bytes that it needs at a time, beside those of its weights, for any of the batches.

    Raises:
        BundleError: it is no ONNX file, or holds what a classifier does not need, or would need more memory or time
            than a classifier of its size.
    """
    try:
        return bounds.check(onnx.read(content), len(content), batches)
    except ValueError as error:
        raise BundleError(
            f"{where} is no network that a bundle may have: {error}. Export it again; from a stranger, do not trust it."
        ) from error
