"""How the students that are built to a budget read a pair: each text by the same network, and then both compared.

Of what the network makes of them, u and v, the output reads u, v, |u − v| and u ∘ v (Conneau et al. 2017, "Supervised
Learning of Universal Sentence Representations", section 3.1). The network of a bag sees neither text beside the other
(a siamese network, Bromley et al. 1993). The core of a compact student reads with each word what the other text has for
it (`Alignment`), which measured far better (LOG.md). Reading both in one pass, the second after the first (Rocktäschel
et al. 2016), measured no better than each by itself, and with nothing compared far worse.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stepdown.students.model import inside
from stepdown.tokens.words import BETWEEN

COMPARED = 4
"""Features of a pair for each feature of a text."""

# Where alignment begins: at initial embeddings a word gives most of its weight to the few that are near it, and the
# same word counts more than any other.
_SHARPNESS, _SAME = 4.0, 2.0


def aligned_width(width: int) -> int:
    """Columns that `Alignment` makes of so many."""
    return 3 * width + 1


class Alignment(nn.Module):
    """What the other text of a pair has for each word, by soft alignment.

    A word's counterpart is the mean of the other text's embeddings, weighted by softmax of their products with the
    word's own (Parikh et al. 2016, "A Decomposable Attention Model", section 3.1, without its network) times a learned
    sharpness; a learned bonus goes to the same word. Beside a word's embedding stand its distance to the counterpart,
    number by number, and their product (Chen et al. 2017, "Enhanced LSTM for Natural Language Inference", section 3.2,
    who compare states), and whether the other text has the very word (Chen et al. 2017, "Reading Wikipedia to Answer
    Open-Domain Questions", section 3.2).
    """

    PARAMETERS = 2

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS))
        self.same = nn.Parameter(torch.tensor(_SAME))

    def forward(self, embedded: Tensor, ids: Tensor, lengths: Tensor) -> Tensor:
        """Words with what the other text has for them.

        Args:
            embedded: [2 · batch, length, width].
            ids: int64 [2 · batch, length], in the order of `split`.
            lengths: int64 [2 · batch].

        Returns:
            [2 · batch, length, 3 · width + 1].
        """
        theirs, theirs_ids = _others(embedded), _others(ids)
        own = inside(lengths, ids.shape[1])
        theirs_own = _others(own)[:, None, :]
        # What is no entry of the vocabulary may be anything, and is like nothing.
        same = (ids[:, :, None] == theirs_ids[:, None, :]) & theirs_own & (ids > BETWEEN)[:, :, None]
        scores = self.sharpness * (embedded @ theirs.transpose(1, 2)) + self.same * same
        counterpart = scores.masked_fill(~theirs_own, -torch.inf).softmax(-1) @ theirs
        has = same.any(-1, keepdim=True).to(embedded.dtype)
        return torch.cat([embedded, (embedded - counterpart).abs(), embedded * counterpart, has], dim=-1)


def _others(both: Tensor) -> Tensor:
    """For each text of pairs the other one's row, for rows in the order of `split`."""
    return both.roll(len(both) // 2, 0)


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
