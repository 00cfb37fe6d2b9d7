"""Targets: what a teacher says of each text, computed once and kept on disk, keyed by content.

A run's texts are sorted and cut into fixed chunks; a chunk comes from the cache whole or is computed whole. A text's
padding, and with it the last bits of its logits, depends on its neighbours in a chunk, so only whole chunks make a
killed and resumed run equal to an undisturbed one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import transformers

from stepdown import store
from stepdown.students.model import TextModel, logits

# Texts of a chunk: a few seconds of work for a 6-layer encoder, the most that an interruption can lose.
CHUNK = 2048


@dataclass(frozen=True)
class Targets:
    """Logits of one teacher for texts, and what they were made from.

    Attributes:
        logits: float32 [n, classes], in the order of the texts that were asked for.
        digest: of all chunks' keys, for a manifest.
        computed: texts that the teacher had to be asked about; the others came from the cache.
    """

    logits: np.ndarray
    digest: str
    computed: int


def targets(
    teacher: TextModel,
    teacher_digest: str,
    texts: Sequence[str],
    *,
    precision: torch.dtype,
    progress: Callable[[int, int], None] | None = None,
    rank: int = 0,
    ranks: int = 1,
) -> Targets:
    """Ask a teacher about texts, each distinct one once, through the cache.

    Two processes that ask at the same time are safe: one computes a chunk while the other waits for it. A damaged
    entry is noticed by its digest and made again.

    Args:
        teacher: reads the texts with its own tokenizer.
        teacher_digest: of its weights, tokenizer and labels.
        texts: in any order, repeats allowed.
        precision: of the teacher's arithmetic.
        progress: called with (texts done, texts in all) after each chunk.
        rank: of this process among `ranks` that ask for the same texts: each begins with chunks of its own, and
            finds those of the others in the cache.
        ranks: processes of the run.

    Raises:
        StoreError: the cache cannot be written.
    """
    distinct = sorted(set(texts))
    about = (
        teacher_digest,
        str(teacher.max_length),
        str(precision),
        torch.__version__,
        transformers.__version__,
    )
    if not distinct:
        return Targets(np.zeros((0, len(teacher.label_names)), np.float32), store.digest(*about), 0)
    chunks = [distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK)]
    keys = [store.digest(*about, *chunk) for chunk in chunks]
    found: dict[int, np.ndarray] = {}
    computed = done = 0
    for index in sorted(range(len(chunks)), key=lambda index: (index % ranks != rank, index)):
        found[index], was_computed = _chunk(keys[index], teacher, chunks[index], precision)
        done += len(chunks[index])
        computed += len(chunks[index]) if was_computed else 0
        if progress is not None:
            progress(done, len(distinct))
    position = {text: index for index, text in enumerate(distinct)}
    rows = np.fromiter((position[text] for text in texts), np.int64, len(texts))
    joined = np.concatenate([found[index] for index in range(len(chunks))])
    return Targets(joined[rows], store.digest(*keys), computed)


def _chunk(
    key: str, teacher: TextModel, texts: Sequence[str], precision: torch.dtype
) -> tuple[np.ndarray, bool]:
    path = store.cache_dir() / "targets" / key[:2] / f"{key}.npy"
    shape = (len(texts), len(teacher.label_names))
    values = store.load_array(path)
    if values is None or values.shape != shape:
        with store.lock(path.with_suffix(".lock"), "another process is computing these targets", wait=True):
            values = store.load_array(path)
            if values is None or values.shape != shape:
                values = logits(teacher, teacher.encode(texts), precision=precision)
                store.save_array(path, values)
                return values, True
    return values, False
