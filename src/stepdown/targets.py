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
    found: list[np.ndarray] = []
    keys: list[str] = []
    computed = 0
    for start in range(0, len(distinct), CHUNK):
        chunk = distinct[start : start + CHUNK]
        key = store.digest(*about, *chunk)
        values, was_computed = _chunk(key, teacher, chunk, precision)
        found.append(values)
        keys.append(key)
        computed += len(chunk) if was_computed else 0
        if progress is not None:
            progress(min(start + CHUNK, len(distinct)), len(distinct))
    if not found:
        return Targets(np.zeros((0, len(teacher.label_names)), np.float32), store.digest(*about), 0)
    position = {text: index for index, text in enumerate(distinct)}
    rows = np.fromiter((position[text] for text in texts), np.int64, len(texts))
    return Targets(np.concatenate(found)[rows], store.digest(*keys), computed)


def _chunk(
    key: str, teacher: TextModel, texts: Sequence[str], precision: torch.dtype
) -> tuple[np.ndarray, bool]:
    path = store.cache_dir() / "targets" / key[:2] / f"{key}.npy"
    shape = (len(texts), len(teacher.label_names))
    values = store.load_array(path)
    if values is None or values.shape != shape:
        with store.lock(path.with_suffix(".lock"), "another run is computing these targets", wait=True):
            values = store.load_array(path)
            if values is None or values.shape != shape:
                values = logits(teacher, teacher.encode(texts), precision=precision)
                store.save_array(path, values)
                return values, True
    return values, False
