"""What reads the words of a compact student in their order: recurrent cores, and a convolutional one.

A core takes embeddings [batch, length, width] and gives states [batch, length, states] for the pooling above it.
Padding never changes the states of a text's own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepdown.recipe.settings import Core
from stepdown.students import recurrence
from stepdown.students.model import inside

# Words that a convolution sees at once, and how far apart they are in each layer: together the layers see 15 words,
# half a sentence to either side, which without the gaps would take seven of them.
KERNEL = 3
DILATIONS = (1, 2, 4)


class BidirectionalGru(nn.Module):
    """One bidirectional layer of gated recurrent units (Cho et al. 2014): `hidden` of them in each direction."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.forward_gru = nn.GRU(width, hidden, batch_first=True)
        self.backward_gru = nn.GRU(width, hidden, batch_first=True)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """States [batch, length, 2 · hidden]."""
        # Reading backwards is reading the reversed text forwards: with a text's own words reversed and the padding
        # left at its end, both directions are exact whatever the padding.
        size = embedded.shape[1]
        reverse = _reversal(lengths, size) if bool((lengths != size).any()) else None
        reversed_words = _reorder(embedded, reverse)
        if embedded.device.type == "cpu":
            both = torch.stack([embedded.permute(1, 2, 0), reversed_words.permute(1, 2, 0)], 1)
            directions = [self.forward_gru, self.backward_gru]
            ahead, back = recurrence.states(both, directions).permute(1, 3, 0, 2)
        else:  # where torch's own layer is one kernel
            ahead, _ = self.forward_gru(embedded)
            back, _ = self.backward_gru(reversed_words)
        return torch.cat([ahead, _reorder(back, reverse)], dim=-1)


class ForwardGru(nn.Module):
    """One layer of gated recurrent units (Cho et al. 2014) that reads forwards alone: a state knows what came before.

    What follows a word is left to the pooling. That costs little where there is much text to learn from (LOG.md), and
    saves half of the work.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.forward_gru = nn.GRU(width, hidden, batch_first=True)

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """States [batch, length, hidden]."""
        states: Tensor
        if embedded.device.type == "cpu":
            states = recurrence.states(embedded.permute(1, 2, 0).unsqueeze(1), [self.forward_gru])
            return states.squeeze(1).permute(2, 0, 1)
        states, _ = self.forward_gru(embedded)  # where torch's own layer is one kernel
        return states


def _reversal(lengths: Tensor, size: int) -> Tensor:
    """Positions that reverse the first `lengths` of each row and leave the rest, shape [batch, size, 1]."""
    position = torch.arange(size, device=lengths.device).expand(len(lengths), size)
    reverse = lengths[:, None] - 1 - position
    return torch.where(reverse >= 0, reverse, position).unsqueeze(-1)


def _reorder(values: Tensor, reverse: Tensor | None) -> Tensor:
    """`values` [batch, length, size] in reversed order along the length."""
    if reverse is None:
        return values.flip(1)
    return values.gather(1, reverse.expand(-1, -1, values.shape[-1]))


class GatedConvolution(nn.Module):
    """Gated convolutions over neighbouring words, three layers of `hidden` channels.

    Each layer is a convolution followed by a gated linear unit (Dauphin et al. 2017, "Language Modeling with Gated
    Convolutional Networks"); from the second on its input is added to its output (Gehring et al. 2017,
    "Convolutional Sequence to Sequence Learning"), and its gaps widen (Yu and Koltun 2016).
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(width if index == 0 else hidden, 2 * hidden, KERNEL, dilation=gap, padding=gap)
            for index, gap in enumerate(DILATIONS)
        )

    def forward(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """States [batch, length, hidden]."""
        # What a convolution sees beyond a text's end is zero, be it padding of the batch or of the convolution.
        share = inside(lengths, embedded.shape[1]).unsqueeze(1).to(embedded.dtype)
        states = embedded.transpose(1, 2) * share
        for index, layer in enumerate(self.layers):
            gated = F.glu(layer(states), dim=1)
            states = (gated if index == 0 else states + gated) * share
        return states.transpose(1, 2)


def _forward_gru_parameters(width: int, hidden: int) -> int:
    return 3 * hidden * (width + hidden + 2)


def _gru_parameters(width: int, hidden: int) -> int:
    return 2 * _forward_gru_parameters(width, hidden)


def _conv_parameters(width: int, hidden: int) -> int:
    layers = len(DILATIONS)
    return 2 * hidden * (KERNEL * (width + (layers - 1) * hidden) + layers)


@dataclass(frozen=True)
class CoreKind:
    """What a core is, and how large it should be.

    Attributes:
        build: of width and hidden, the module.
        parameters: of width and hidden, how many it has.
        states_per_hidden: columns of its states over hidden.
        hidden_at_250k: what a budget of 250,000 parameters gives it: an eighth of them, as measured best for the
            recurrent one (LOG.md).
        width_per_hidden: columns of the widest embeddings over hidden.
        name: in the words of a report.
        units: what `hidden` counts, in the words of a report.
    """

    build: Callable[[int, int], nn.Module]
    parameters: Callable[[int, int], int]
    states_per_hidden: int
    hidden_at_250k: int
    width_per_hidden: float
    name: str
    units: str


CORES: Mapping[Core, CoreKind] = {
    "gru": CoreKind(
        BidirectionalGru, _gru_parameters, 2, 56, 32 / 56, "bidirectional GRU", "units in each direction"
    ),
    "forward-gru": CoreKind(ForwardGru, _forward_gru_parameters, 1, 84, 32 / 84, "forward GRU", "units"),
    "conv": CoreKind(
        GatedConvolution, _conv_parameters, 1, 44, 32 / 44, "gated convolution", "channels in three layers"
    ),
}
