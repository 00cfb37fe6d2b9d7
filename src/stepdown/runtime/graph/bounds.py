"""What a network may ask for, in memory and in work, as its file tells before anything of it is run.

An honest network of n bytes holds about n bytes of numbers, and uses each about once for each id that it reads. One
that asks for many times as much was made to fill a memory, or to keep a processor busy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from stepdown.runtime.graph import sizes, work
from stepdown.runtime.graph.onnx import ITEM_BYTES, Graph
from stepdown.runtime.graph.sizes import AnySize
from stepdown.runtime.graph.steps import steps

# Bytes of tensors at a time: of any network; for each byte of the file, as what is stored as int8 in narrow tables
# becomes wide ones of float32; for any batch; and for each id of a batch.
_BYTES, _BYTES_PER_BYTE, _BYTES_PER_BATCH, _BYTES_PER_ID = 1 << 26, 16, 1 << 28, 1 << 13
# Multiplications and the like: of any network, for each byte of the file, and for each id of a batch.
_WORK, _WORK_PER_BYTE, _WORK_PER_ID, _WORK_PER_BYTE_AND_ID = 1 << 26, 8, 1 << 21, 4


class Batch(NamedTuple):
    """So many texts, of so many ids after padding."""

    texts: int
    length: int


TRIAL = Batch(2, 2)
"""What a network is tried out with, which may take no longer than loading it."""


def check(graph: Graph, size: int, batches: Sequence[Batch]) -> int:
    """Look whether a network reads all batches for what one of its size may ask for.

    Args:
        graph: of its file.
        size: bytes of the file.
        batches: the largest ones, of the shortest texts and of the longest. Those between them cost no more.

    Returns:
        Bytes that it needs at a time, beside those of its weights, for any of the batches.

    Raises:
        ValueError: it may ask for more, or is no network of a bundle.
    """
    loading, trial, *reading = (_Meter(batch) for batch in [TRIAL, TRIAL, *batches])
    _measure(graph, loading, [trial, *reading])
    most_bytes, most_work = _BYTES + _BYTES_PER_BYTE * size, _WORK + _WORK_PER_BYTE * size
    loading.check("when it is loaded", most_bytes, most_work)
    trial.check("when it is tried out", most_bytes, most_work)
    for meter in reading:
        ids = meter.batch.texts * meter.batch.length
        meter.check(
            f"for {meter.batch.texts:,} × {meter.batch.length:,} ids",
            most_bytes + _BYTES_PER_BATCH + _BYTES_PER_ID * ids,
            most_work + (_WORK_PER_ID + _WORK_PER_BYTE_AND_ID * size) * ids,
        )
    return max([meter.most for meter in reading], default=trial.most)


class _Meter:
    """Counts what nodes ask for in one batch."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.live = self.most = self.work = 0

    def add(self, left: AnySize, scratch: AnySize, work: AnySize) -> None:
        """A node at work: bytes that it leaves, bytes that it needs meanwhile, and work."""
        self.live += sizes.at(left, *self.batch)
        self.most = max(self.most, self.live + sizes.at(scratch, *self.batch))
        self.work += sizes.at(work, *self.batch)

    def free(self, left: AnySize) -> None:
        """What a node left is needed no more."""
        self.live -= sizes.at(left, *self.batch)

    def check(self, when: str, most_bytes: int, most_work: int) -> None:
        """Raises ValueError if it was more than that."""
        if self.most > most_bytes:
            raise ValueError(
                f"it needs {self.most / 2**20:,.0f} MB {when}, and {most_bytes / 2**20:,.0f} are allowed"
            )
        if self.work > most_work:
            raise ValueError(f"it computes {self.work:.2g} products {when}, and {most_work:.2g} are allowed")


def _measure(graph: Graph, loading: _Meter, reading: Sequence[_Meter]) -> None:
    """Counts constant nodes, which are computed once when a graph is loaded, and the others for each batch."""
    last = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    waiting: dict[str, tuple[AnySize, Sequence[_Meter]]] = {}  # bytes of what is needed later, by name
    for index, step in enumerate(steps(graph)):
        node = step.node
        meters = [loading] if step.is_constant else reading
        for name, one in zip(node.outputs, step.outputs, strict=False):
            left = sizes.product((one.size, ITEM_BYTES[one.type]))
            for meter in meters:
                meter.add(left, 0, 0)
            waiting[name or f"{index}, left out"] = left, meters
        scratch, done = (
            work.scratch(node, step.inputs, step.outputs),
            work.work(node, step.inputs, step.outputs),
        )
        for meter in meters:
            meter.add(0, scratch, done)
        for name in [*node.inputs, *node.outputs, f"{index}, left out"]:
            if name in waiting and last.get(name, index) == index:
                left, of = waiting.pop(name)
                for meter in of:
                    meter.free(left)
