"""Which pieces of a sequence are to be predicted, and what the student sees in their place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from stepdown.errors import ModelError
from stepdown.pretraining.sequences import Reader, specials
from stepdown.tokens import Words
from stepdown.tokens.wordpiece import MASK

# What becomes of a chosen piece (Devlin et al. 2019, section 3.1): it is hidden, or replaced; else it stays.
_HIDDEN, _REPLACED = 0.8, 0.1


@dataclass(frozen=True)
class Masking:
    """How pieces are chosen and hidden.

    Attributes:
        share: of the pieces of a sequence that are chosen, at least one of each sequence.
        mask_id: of [MASK]; of whole words, the one behind the vocabulary.
        pad_id: of padding.
        specials: ids that are never chosen.
        vocabulary: ids, of which a replaced piece becomes any.
    """

    share: float
    mask_id: int
    pad_id: int
    specials: tuple[int, ...]
    vocabulary: int


def masking_for(tokenizer: Reader, share: float) -> Masking:
    """Masking over the pieces of a tokenizer.

    Raises:
        ModelError: a vocabulary of word pieces has no [MASK].
    """
    special = tuple(specials(tokenizer).tolist())
    return Masking(share, mask_id(tokenizer), tokenizer.pad_id, special, tokenizer.vocab_size)


def mask_id(tokenizer: Reader) -> int:
    """The id that stands for a hidden piece. Raises ModelError as `masking_for`."""
    if isinstance(tokenizer, Words):
        return tokenizer.vocab_size
    if MASK not in tokenizer.vocabulary:
        raise ModelError(
            f"the vocabulary has no {MASK}, which stands for a hidden piece: expected that of a BERT model, such as "
            "demo:minilm-l6 or google-bert/bert-base-uncased."
        )
    return tokenizer.vocabulary.index(MASK)


def hide(ids: np.ndarray, masking: Masking, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Choose pieces to be predicted, and hide them.

    Of the chosen 80% become [MASK], 10% any piece, 10% stay as they are, so that the student must read every piece.
    As in BERT's own code a sequence has a fixed number of them, its share rounded; they are drawn anew each time that
    it is read (Liu et al. 2019, section 4.1).

    Args:
        ids: int64 [batch, length], padded; padding is special.
        masking: how.
        draw: source of chance.

    Returns:
        what the student sees, int64 [batch, length], and what is to be predicted, bool [batch, length].
    """
    rank = draw.random(ids.shape)
    free = ~np.isin(ids, masking.specials)
    rank[~free] = 1.0  # behind all others
    wanted = np.maximum(1, np.rint(masking.share * free.sum(1)))
    chosen = (rank.argsort(1).argsort(1) < wanted[:, None]) & free
    fate = draw.random(ids.shape)
    seen = np.where(chosen & (fate < _HIDDEN), masking.mask_id, ids)
    other = draw.integers(0, masking.vocabulary, ids.shape)
    return np.where(chosen & (fate >= 1 - _REPLACED), other, seen), chosen
