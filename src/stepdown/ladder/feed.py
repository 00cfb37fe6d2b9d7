"""What a rung learns from: the transfer set as its model reads it, with what its teachers say, part by part.

Of up to a quarter of a million texts beside those of train the one part is kept in memory. Of more, the parts lie on
disk, and one at a time is in memory. They come in random order, so a part of them is a random sample, and the texts of
train are dealt out to all parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

import numpy as np

from stepdown import store
from stepdown.students.hints import reduction
from stepdown.students.model import TextModel
from stepdown.targets import Labeller, ModelLabeller, label
from stepdown.tokens import Tokens
from stepdown.train import Examples
from stepdown.transfer import Transfer, cut

# Chunks of a part: 262,144 texts, of which the ids take some 30 MB.
_PART = 128


class Feed:
    """The examples of a rung.

    Attributes:
        sizes: texts of each part.
        hint_size: components of a text's hint; 0 without hints.
        digests: of each teacher's targets.
    """

    def __init__(
        self,
        model: TextModel,
        transfer: Transfer,
        labellers: Sequence[Labeller],
        *,
        hints_of: ModelLabeller | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        """Have the texts labelled, and read by the student.

        Args:
            model: the student.
            transfer: the texts.
            labellers: its teachers.
            hints_of: the one of them that gives hints too, a Hugging Face model.
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
            label(one, digests, chunk, progress=count, rank=rank, ranks=ranks, states=one is hints_of)
            for one in labellers
        ]
        guide = _Guide(hints_of, labelled, transfer) if hints_of else None
        self.hint_size = guide.reduce.size if guide else 0
        said = [labelled.logits(one) for one in labellers]
        self._scratch: store.Scratch | None = None
        self._whole: Examples | None = None
        self._starts: list[int] = []
        parts = max(1, -(-len(transfer.pool.digests) // _PART))
        sizes = []
        for index, chunks in enumerate(np.array_split(np.arange(len(transfer.pool.digests)), parts)):
            rows = np.arange(index, len(transfer.texts), parts)
            examples = _part(
                model, transfer, rows, [one[rows] for one in said], chunks.tolist(), labellers, guide
            )
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
        ids, offsets, truncated, labels, targets, hints = (np.load(file) for _ in range(6))
        return Examples(Tokens(ids, offsets, truncated), labels, targets, hints if self.hint_size else None)

    def _keep(self, examples: Examples) -> None:
        self._scratch = self._scratch or store.Scratch()
        tokens = examples.tokens
        content = BytesIO()
        hints = np.zeros((0, 0)) if examples.hints is None else examples.hints
        for array in (
            tokens.ids,
            tokens.offsets,
            tokens.truncated,
            examples.labels,
            examples.targets,
            hints,
        ):
            np.save(content, array)
        self._starts.append(self._scratch.add(content.getvalue()))


class _Labelled:
    """The texts of train, each once, in chunks."""

    def __init__(self, texts: Sequence[str]) -> None:
        position: dict[str, int] = {}
        self._rows = np.array([position.setdefault(text, len(position)) for text in texts], np.int64)
        self.texts = list(position)
        self.chunks = list(cut(self.texts))
        self.digests = [store.digest(*chunk) for chunk in self.chunks]

    def logits(self, labeller: Labeller) -> np.ndarray:
        """What a teacher says of every text, float32 [texts, classes]."""
        return self._every(labeller.ask)

    def states(self, labeller: ModelLabeller) -> np.ndarray:
        """A teacher's states of every text, float16 [texts, hidden]."""
        return self._every(labeller.states)

    def _every(self, ask: Callable[[Sequence[str], str], np.ndarray]) -> np.ndarray:
        asked = zip(self.chunks, self.digests, strict=True)
        return np.concatenate([ask(chunk, digest) for chunk, digest in asked])[self._rows]


# Texts whose states decide on the principal components: far more than a teacher's width.
_SAMPLE = 8192


class _Guide:
    """The teacher that gives hints, and how its states become hints."""

    def __init__(self, labeller: ModelLabeller, labelled: _Labelled, transfer: Transfer) -> None:
        self.labeller = labeller
        self.of_labelled = labelled.states(labeller)
        share = len(self.of_labelled) / max(1, len(transfer))
        count = max(2, round(share * _SAMPLE))
        some = [self.of_labelled[:: max(1, len(self.of_labelled) // count)]]
        for index in range(len(transfer.pool.digests)):
            if sum(map(len, some)) >= _SAMPLE:
                break
            some.append(self.of_chunk(index, transfer.pool.chunk(index), transfer))
        self.reduce = reduction(np.concatenate(some))

    def of_chunk(self, index: int, texts: Sequence[str], transfer: Transfer) -> np.ndarray:
        """States of a chunk of texts without labels."""
        return self.labeller.states(texts, transfer.pool.digests[index])


def _part(
    model: TextModel,
    transfer: Transfer,
    rows: np.ndarray,
    said: Sequence[np.ndarray],
    chunks: Sequence[int],
    labellers: Sequence[Labeller],
    guide: _Guide | None,
) -> Examples:
    """The examples of some labelled texts, of which the teachers `said` this, and some chunks of the others."""
    tokens = [model.encode([transfer.texts[row] for row in rows])]
    targets = [[one] for one in said]
    hints = [guide.reduce(guide.of_labelled[rows])] if guide else []
    for index in chunks:
        texts = transfer.pool.chunk(index)
        tokens.append(model.encode(texts))
        for labeller, logits in zip(labellers, targets, strict=True):
            logits.append(labeller.ask(texts, transfer.pool.digests[index]))
        if guide:
            hints.append(guide.reduce(guide.of_chunk(index, texts, transfer)))
    joined = Tokens.concat(tokens)
    labels = np.full(len(joined), -1, np.int64)
    labels[: len(rows)] = transfer.labels[rows]
    said_of_all = np.stack([np.concatenate(logits) for logits in targets])
    return Examples(joined, labels, said_of_all, np.concatenate(hints) if guide else None)
