"""Texts as the sequences of pieces that a student is pretrained on.

A text that is longer than a sequence is cut into several of nearly equal length, so that all of it is read; no
sequence crosses the end of a text (DOC-SENTENCES of Liu et al. 2019, "RoBERTa", section 4.2).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stepdown import store
from stepdown.tokens import BertWordPiece, Tokens, Words
from stepdown.tokens.wordpiece import SPECIAL

Reader = BertWordPiece | Words
"""Makes pieces of texts: word pieces, or whole words and what spells the others."""

# Pieces of a sequence that can be masked: of fewer there is nothing to tell a masked one by.
FEWEST = 4
# Longer than any text that is read, see `data.columns`.
_WHOLE = 1_000_000


@dataclass(frozen=True)
class Sequences:
    """n sequences, of word pieces each framed by [CLS] and [SEP].

    Attributes:
        tokens: their ids, on disk.
        text_of: int64 [n], which text each is of.
        left_out: sequences with fewer than 4 pieces that are in the vocabulary.
    """

    tokens: Tokens
    text_of: np.ndarray
    left_out: int

    def __len__(self) -> int:
        return len(self.tokens)

    def first(self, count: int) -> Sequences:
        """The first so many of them."""
        rows = np.arange(min(count, len(self)))
        return Sequences(self.tokens.take(rows), self.text_of[rows], self.left_out)


def read(tokenizer: Reader, texts: Iterable[list[str]], max_length: int) -> Sequences:
    """The sequences of texts.

    Args:
        tokenizer: of the student.
        texts: chunk by chunk.
        max_length: most ids of a sequence, those of a frame included.

    Raises:
        StoreError: the disk of the cache, where the ids go, is full or fails.
    """
    scratch = store.Scratch()
    lengths, text_of = array("q"), array("q")
    special = specials(tokenizer)
    frame = 1 if isinstance(tokenizer, BertWordPiece) else 0
    before = left_out = 0
    for chunk in texts:
        cut, of = _cut(tokenizer.encode(chunk, _WHOLE), max_length, frame)
        useful = np.add.reduceat(~np.isin(cut.ids, special), cut.offsets[:-1]) >= FEWEST
        kept = np.flatnonzero(useful)
        left_out += len(cut) - len(kept)
        some = cut.take(kept)
        scratch.add(some.ids.astype(np.int32).tobytes())
        lengths.extend(some.lengths.tolist())
        text_of.extend((of[kept] + before).tolist())
        before += len(chunk)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.frombuffer(lengths, np.int64))])
    ids = np.memmap(scratch.file, np.int32, "r") if lengths else np.zeros(0, np.int32)
    return Sequences(
        Tokens(ids, offsets, np.zeros(len(lengths), bool)), np.frombuffer(text_of, np.int64), left_out
    )


def specials(tokenizer: Reader) -> np.ndarray:
    """Ids that are never predicted: those of the special pieces, the unknown word among them."""
    if isinstance(tokenizer, Words):
        return np.arange(tokenizer.first_id)
    return np.flatnonzero(np.isin(np.array(tokenizer.vocabulary), SPECIAL))


def _cut(tokens: Tokens, most: int, frame: int) -> tuple[Tokens, np.ndarray]:
    """Whole texts as sequences of at most `most` ids, and the text of each, int64.

    Args:
        tokens: the texts; all of them have the same `frame` ids before them, and the same after them.
        most: ids of a sequence, its own frame included.
        frame: 0 or 1.
    """
    inside = tokens.lengths - 2 * frame
    parts = np.maximum(1, -(-inside // (most - 2 * frame)))
    text_of = np.repeat(np.arange(len(tokens)), parts)
    number = np.arange(len(text_of)) - np.repeat(np.cumsum(parts) - parts, parts)
    begins = number * inside[text_of] // parts[text_of]
    ends = (number + 1) * inside[text_of] // parts[text_of]
    lengths = ends - begins + 2 * frame
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    # Where each id stands in the whole text: the sequence's own beginning, and with a frame one further for [CLS].
    shift = np.repeat(tokens.offsets[:-1][text_of] + begins - offsets[:-1], lengths)
    ids = tokens.ids[np.minimum(np.arange(offsets[-1]) + shift, len(tokens.ids) - 1)]
    if frame:
        ids[offsets[:-1]] = tokens.ids[0]
        ids[offsets[1:] - 1] = tokens.ids[-1]
    return Tokens(ids, offsets, np.zeros(len(lengths), bool)), text_of
