"""Targets: what a teacher says of each text, computed once and kept on disk, keyed by content.

A run's texts come in fixed chunks; a chunk comes from the cache whole or is computed whole. A text's padding, and
with it the last bits of its logits, depends on its neighbours in a chunk, so only whole chunks make a killed and
resumed run equal to an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from stepdown import store
from stepdown.students.hints import logits_and_states
from stepdown.students.model import TextModel, arithmetic, logits


class Labeller(Protocol):
    """A teacher, whatever it is."""

    def key(self, chunk_digest: str) -> str:
        """Of what it says of a chunk of texts with that digest."""

    def ask(self, texts: Sequence[str], chunk_digest: str) -> np.ndarray:
        """Logits of a chunk of texts, float32 [n, classes], or numbers, [n, 1]; kept or computed."""


@dataclass(frozen=True)
class ModelLabeller:
    """A teacher that is a model, and what its answers depend on beside the texts.

    Two processes that ask at the same time are safe: one computes a chunk while the other waits for it. A damaged
    entry of the cache is noticed by its digest and made again.

    Attributes:
        teacher: reads the texts with its own tokenizer.
        teacher_digest: of its weights, tokenizer and labels.
        precision: of its arithmetic.
    """

    teacher: TextModel
    teacher_digest: str
    precision: torch.dtype

    def key(self, chunk_digest: str) -> str:
        """Of what it says of a chunk of texts with that digest."""
        device = next(self.teacher.network.parameters()).device
        about = self.teacher_digest, str(self.teacher.max_length), *arithmetic(device, self.precision)
        return store.digest(*about, chunk_digest)

    def ask(self, texts: Sequence[str], chunk_digest: str) -> np.ndarray:
        """Logits of a chunk of texts, float32 [n, classes], from the cache if they are there.

        Raises:
            StoreError: the cache cannot be written.
        """

        def compute() -> np.ndarray:
            return logits(self.teacher, self.teacher.encode(texts), precision=self.precision)

        shape = (len(texts), len(self.teacher.label_names))
        path = place("targets", self.key(chunk_digest))
        return kept(path, "targets", lambda found: found.shape == shape, compute)

    def states(self, texts: Sequence[str], chunk_digest: str) -> np.ndarray:
        """Mean states of its middle layer over each of a chunk of texts, float16 [n, hidden], cached as its logits are.

        Where they are not in the cache, its logits are computed in the same pass and kept too. They take 2 bytes times
        the teacher's width for each text.

        Raises:
            StoreError: the cache cannot be written.
        """

        def compute() -> np.ndarray:
            tokens = self.teacher.encode(texts)
            said, states = logits_and_states(self.teacher, tokens, precision=self.precision)
            targets = place("targets", self.key(chunk_digest))
            if store.load_array(targets) is None:
                store.save_array(targets, said)
            return states

        path = place("states", self.key(chunk_digest))
        return kept(path, "states", lambda found: len(found) == len(texts), compute)


def place(kind: str, key: str) -> Path:
    """Where the cache keeps an array of that kind and key."""
    return store.cache_dir() / kind / key[:2] / f"{key}.npy"


def kept(
    path: Path, what: str, fits: Callable[[np.ndarray], bool], compute: Callable[[], np.ndarray]
) -> np.ndarray:
    """The array at a path if it fits, else what `compute` makes, which is kept there; of several processes one does.

    Args:
        path: of the array.
        what: it is, for who has to wait for it.
        fits: whether an array that was found is what it should be.
        compute: makes it.

    Raises:
        StoreError: it cannot be written.
    """
    values = store.load_array(path)
    if values is None or not fits(values):
        with store.lock(path.with_suffix(".lock"), f"another process is computing these {what}", wait=True):
            values = store.load_array(path)
            if values is None or not fits(values):
                values = compute()
                store.save_array(path, values)
    return values


def label(
    labeller: Labeller,
    digests: Sequence[str],
    chunk: Callable[[int], Sequence[str]],
    *,
    progress: Callable[[int], None] | None = None,
    rank: int = 0,
    ranks: int = 1,
    states: bool = False,
) -> str:
    """Have a teacher label chunks of texts, so that `Labeller.ask` finds all of them in the cache.

    Args:
        labeller: the teacher.
        digests: of the chunks.
        chunk: the texts of one, by its index.
        progress: called with the number of texts after each chunk.
        rank: of this process among `ranks` that ask for the same texts: each begins with chunks of its own, and
            finds those of the others in the cache.
        ranks: processes of the run.
        states: have its states of them too, in the same pass.

    Returns:
        Digest of all chunks' keys, for a manifest.

    Raises:
        StoreError: the cache cannot be written.
    """
    for index in sorted(range(len(digests)), key=lambda index: (index % ranks != rank, index)):
        texts = chunk(index)
        if states:
            assert isinstance(labeller, ModelLabeller), "nobody else has states"
            labeller.states(texts, digests[index])
        labeller.ask(texts, digests[index])
        if progress is not None:
            progress(len(texts))
    return store.digest(*(labeller.key(one) for one in digests))
