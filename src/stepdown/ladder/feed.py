"""What a rung learns from: the transfer set as its model reads it, with what its teachers say, part by part.

Of up to a quarter of a million texts without labels the one part is kept in memory. Of more, the parts lie on disk,
and one at a time is in memory. Texts without labels come in random order, so a part of them is a random sample, and
labelled texts are dealt out to all parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np

from stepdown import store
from stepdown.students.model import TextModel
from stepdown.targets import Labeller, label
from stepdown.tokens import Tokens
from stepdown.train import Examples
from stepdown.transfer import Transfer, cut

# Chunks of a part: 262,144 texts, of which the ids take some 30 MB.
_PART = 128


class Feed:
    """The examples of a rung.

    Attributes:
        sizes: texts of each part.
        digests: of each teacher's targets.
    """

    def __init__(
        self,
        model: TextModel,
        transfer: Transfer,
        labellers: Sequence[Labeller],
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Have the texts labelled, and read by the student.

        Args:
            model: the student.
            transfer: the texts.
            labellers: its teachers.
            progress: called with (texts labelled, texts to label).
            rank: of this process among `ranks` that train together.
            ranks: processes of the run.

        Raises:
            StoreError: the disk is full or fails.
        """
        labelled = _Labelled(transfer.texts)
        digests = [*labelled.digests, *transfer.pool.digests]
        total = (len(labelled.texts) + len(transfer.pool)) * len(labellers)
        done = 0

        def count(texts: int) -> None:
            nonlocal done
            done += texts
            progress(done, total)

        def chunk(index: int) -> Sequence[str]:
            own = len(labelled.chunks)
            return labelled.chunks[index] if index < own else transfer.pool.chunk(index - own)

        self.digests = [
            label(one, digests, chunk, progress=count, rank=rank, ranks=ranks) for one in labellers
        ]
        said = [labelled.logits(one) for one in labellers]
        self._scratch: store.Scratch | None = None
        self._whole: Examples | None = None
        self._starts: list[int] = []
        parts = max(1, -(-len(transfer.pool.digests) // _PART))
        sizes = []
        for index, chunks in enumerate(np.array_split(np.arange(len(transfer.pool.digests)), parts)):
            rows = np.arange(index, len(transfer.texts), parts)
            examples = _part(model, transfer, rows, [one[rows] for one in said], chunks.tolist(), labellers)
            sizes.append(len(examples.tokens))
            if parts == 1:
                self._whole = examples
            else:
                self._keep(examples)
        self.sizes = tuple(sizes)

    def part(self, index: int) -> Examples:
        """The examples of a part."""
        if self._whole is not None:
            return self._whole
        assert self._scratch is not None, "a feed without parts"
        file = self._scratch.file
        file.seek(self._starts[index])
        ids, offsets, truncated, labels, targets = (np.load(file) for _ in range(5))
        return Examples(Tokens(ids, offsets, truncated), labels, targets)

    def _keep(self, examples: Examples) -> None:
        self._scratch = self._scratch or store.Scratch()
        tokens = examples.tokens
        content = BytesIO()
        for array in (tokens.ids, tokens.offsets, tokens.truncated, examples.labels, examples.targets):
            np.save(content, array)
        self._starts.append(self._scratch.add(content.getvalue()))


class _Labelled:
    """The labelled texts, each once, in chunks."""

    def __init__(self, texts: Sequence[str]) -> None:
        position: dict[str, int] = {}
        self._rows = np.array([position.setdefault(text, len(position)) for text in texts], np.int64)
        self.texts = list(position)
        self.chunks = list(cut(self.texts))
        self.digests = [store.digest(*chunk) for chunk in self.chunks]

    def logits(self, labeller: Labeller) -> np.ndarray:
        """What a teacher says of every text, float32 [texts, classes]."""
        asked = zip(self.chunks, self.digests, strict=True)
        return np.concatenate([labeller.ask(chunk, digest) for chunk, digest in asked])[self._rows]


def _part(
    model: TextModel,
    transfer: Transfer,
    rows: np.ndarray,
    said: Sequence[np.ndarray],
    chunks: Sequence[int],
    labellers: Sequence[Labeller],
) -> Examples:
    """The examples of some labelled texts, of which the teachers `said` this, and some chunks of the others."""
    tokens = [model.encode([transfer.texts[row] for row in rows])]
    targets = [[one] for one in said]
    for index in chunks:
        texts = transfer.pool.chunk(index)
        tokens.append(model.encode(texts))
        for labeller, logits in zip(labellers, targets, strict=True):
            logits.append(labeller.ask(texts, transfer.pool.digests[index]))
    joined = Tokens.concat(tokens)
    labels = np.full(len(joined), -1, np.int64)
    labels[: len(rows)] = transfer.labels[rows]
    return Examples(joined, labels, np.stack([np.concatenate(logits) for logits in targets]))
