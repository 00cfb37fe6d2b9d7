"""How the students that are built to a budget read a pair: each text by itself, and then both compared.

Both texts go through the same network, none of which sees the other one (a siamese network, Bromley et al. 1993). Of
what it makes of them, u and v, the output reads u, v, |u − v| and u ∘ v (Conneau et al. 2017, "Supervised Learning of
Universal Sentence Representations", section 3.1). Reading both in one pass, the second after the first (Rocktäschel et
al. 2016), measured no better, and with nothing compared far worse (LOG.md).
"""

from __future__ import annotations

import torch
from torch import Tensor

from stepdown.tokens.words import BETWEEN

COMPARED = 4
"""Features of a pair for each feature of a text."""


def split(ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """The texts of pairs by themselves: all first texts, and below them all second ones.

    What has no separator is a first text, and its own last word stands for the second.

    Args:
        ids: int64 [batch, length], as the `words` tokenizer makes them of pairs.
        lengths: int64 [batch].

    Returns:
        ids, int64 [2 · batch, longest], of which those beyond a text's length mean nothing, and lengths, int64
        [2 · batch], at least 1.
    """
    position = torch.arange(ids.shape[1], device=ids.device)
    before = ((ids == BETWEEN).long().cumsum(1) == 0) & (position < lengths[:, None])
    first = before.sum(1)
    sizes = torch.cat([first, lengths - first - 1]).clamp(min=1)
    longest = int(sizes.max())
    second = torch.minimum(first[:, None] + 1 + position[:longest], lengths[:, None] - 1)
    return torch.cat([ids[:, :longest], ids.gather(1, second)]), sizes


def compared(both: Tensor) -> Tensor:
    """Features of pairs [batch, 4 · n], of those of their texts [2 · batch, n] in the order of `split`."""
    first, second = both.chunk(2)
    return torch.cat([first, second, (first - second).abs(), first * second], dim=-1)
