"""`compact`: a recurrent student built to a parameter budget over the task's own words.

Tiered word embeddings → one bidirectional GRU layer → maximum, mean and attention pooling → one linear output.
Frequent words get wide rows, rare ones narrow rows padded with zeros; that works because the columns of the initial
embeddings are ordered by importance (`students.embeddings`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepdown.errors import ModelError

# Where the network ends up with a vocabulary that is large enough: the proportions that measured best at 250K
# parameters (hidden 56, width 32; 15% of the rows full, 25% half, 60% a tenth as wide), see LOG.md.
_HIDDEN_AT_250K = 56
_WIDTH_PER_HIDDEN = 32 / 56
_TIER_ROWS = (0.15, 0.25, 0.60)
_TIER_WIDTHS = (1.0, 0.5, 0.1)
_SMALLEST_HIDDEN = 4


@dataclass(frozen=True)
class CompactShape:
    """Sizes of a compact student.

    Attributes:
        tiers: (rows, columns) of each embedding table, widest first; rows follow the vocabulary's order.
        width: columns of the widest rows, the input size of the recurrent layer.
        hidden: units of the recurrent layer in each direction.
        classes: outputs.
    """

    tiers: tuple[tuple[int, int], ...]
    width: int
    hidden: int
    classes: int

    @property
    def vocabulary(self) -> int:
        """Rows over all tiers."""
        return sum(rows for rows, _ in self.tiers)

    @property
    def network_parameters(self) -> int:
        """Everything but the tables: recurrent layer, attention, output."""
        return _network_parameters(self.width, self.hidden, self.classes)

    @property
    def parameters(self) -> int:
        """All trained numbers of the student, tables included."""
        return sum(rows * columns for rows, columns in self.tiers) + self.network_parameters

    def describe(self) -> str:
        """What the student is, in a few words for people."""
        words = f"{self.vocabulary / 1000:.0f}K" if self.vocabulary >= 1000 else str(self.vocabulary)
        return f"bidirectional GRU, {words} words"


def _network_parameters(width: int, hidden: int, classes: int) -> int:
    recurrent = 2 * (3 * hidden * width + 3 * hidden * hidden + 6 * hidden)
    attention = 2 * hidden + 1
    output = 6 * hidden * classes + classes
    return recurrent + attention + output


def shape_for(max_params: int, words: int, classes: int) -> CompactShape:
    """The compact student that spends a budget best, never exceeding it.

    The network grows with the square root of the budget (its parameters grow with the square of its width, so that
    its share stays the same). Where the vocabulary is too small to use up the rest even with full-width rows, the
    network grows instead.

    Args:
        max_params: upper bound on all parameters, everything included.
        words: vocabulary entries that are worth having, pad and unknown included.
        classes: outputs.

    Raises:
        ModelError: the budget is too small for any student with this many classes.
    """
    hidden = max(_SMALLEST_HIDDEN, _even(_HIDDEN_AT_250K * (max_params / 250_000) ** 0.5))
    while hidden > _SMALLEST_HIDDEN and _table_budget(max_params, hidden, classes) < max_params // 3:
        hidden -= 1
    while _table_budget(max_params, hidden + 1, classes) > words * _width(hidden + 1):
        hidden += 1
    table, width = _table_budget(max_params, hidden, classes), _width(hidden)
    tiers = _tiers(table, words, width)
    if not tiers:
        needed = _network_parameters(width, hidden, classes) + 3 * width
        raise ModelError(
            f"A compact student of at most {max_params:,} parameters cannot be built for {classes} classes: "
            f"its smallest network alone takes {needed:,}. Raise max_params."
        )
    return CompactShape(tiers, width, hidden, classes)


def _even(value: float) -> int:
    return int(value / 2) * 2


def _width(hidden: int) -> int:
    return max(2, round(hidden * _WIDTH_PER_HIDDEN))


def _table_budget(max_params: int, hidden: int, classes: int) -> int:
    return max_params - _network_parameters(_width(hidden), hidden, classes)


def _tiers(budget: int, words: int, width: int) -> tuple[tuple[int, int], ...]:
    """Rows and columns of the tables.

    As many words as the budget carries in the proportions above; when all words fit, wider rows for all of them.
    """
    columns = [max(1, round(width * share)) for share in _TIER_WIDTHS]
    lean = sum(share * size for share, size in zip(_TIER_ROWS, columns, strict=True))
    rows = min(words, int(budget / lean))
    if rows < 3:
        return ()
    # How far to go from the lean split (0) to all rows full (1), so that the mean row costs budget / rows.
    fullness = min(1.0, max(0.0, (budget / rows - lean) / (width - lean))) if width > lean else 1.0
    second = int(rows * _TIER_ROWS[1] * (1 - fullness))
    third = int(rows * _TIER_ROWS[2] * (1 - fullness))
    counts = [rows - second - third, second, third]
    while sum(n * size for n, size in zip(counts, columns, strict=True)) > budget:
        counts[0] -= 1  # rounding left a row or two too many
    return tuple((n, size) for n, size in zip(counts, columns, strict=True) if n > 0)


class CompactNetwork(nn.Module):
    """The network of a compact student.

    `forward(ids [batch, length] int64, lengths [batch] int64)` gives logits [batch, classes]. Ids beyond a text's
    length are padding and never change its logits.
    """

    def __init__(self, shape: CompactShape) -> None:
        super().__init__()
        self.shape = shape
        self.tables = nn.ParameterList([nn.Parameter(torch.randn(r, c) * 0.1) for r, c in shape.tiers])
        self.forward_gru = nn.GRU(shape.width, shape.hidden, batch_first=True)
        self.backward_gru = nn.GRU(shape.width, shape.hidden, batch_first=True)
        self.attention = nn.Linear(2 * shape.hidden, 1)
        self.output = nn.Linear(6 * shape.hidden, shape.classes)

    def load_embeddings(self, initial: Tensor) -> None:
        """Copy initial embeddings [vocabulary, width] into the tables, each row cut to its tier's columns."""
        start = 0
        with torch.no_grad():
            for table in self.tables:
                rows, columns = table.shape
                table.copy_(initial[start : start + rows, :columns])
                start += rows

    def table(self) -> Tensor:
        """All embeddings at full width, shape [vocabulary, width]."""
        return torch.cat([F.pad(table, (0, self.shape.width - table.shape[1])) for table in self.tables])

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits, shape [batch, classes]."""
        embedded = F.embedding(ids, self.table())
        padded = bool((lengths != ids.shape[1]).any())
        # Reading backwards is reading the reversed text forwards: with a text's own words reversed and the padding
        # left at its end, both directions are exact whatever the padding.
        reverse = _reversal(lengths, ids.shape[1]) if padded else None
        ahead, _ = self.forward_gru(embedded)
        back, _ = self.backward_gru(_reorder(embedded, reverse))
        states = torch.cat([ahead, _reorder(back, reverse)], dim=-1)
        scores = self.attention(states)
        if padded:
            inside = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).unsqueeze(-1)
            highest = states.masked_fill(~inside, -torch.inf).amax(1)
            mean = (states * inside).sum(1) / lengths[:, None]
            scores = scores.masked_fill(~inside, -torch.inf)
        else:
            highest, mean = states.amax(1), states.mean(1)
        attended = (scores.softmax(1) * states).sum(1)
        logits: Tensor = self.output(torch.cat([highest, mean, attended], dim=-1))
        return logits


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
