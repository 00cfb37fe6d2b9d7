"""`compact`: a small student built to a parameter budget over the task's own words.

Tiered word embeddings (`students.tables`) → a core that reads them in order (`students.cores`) → maximum, mean and
attention pooling → one linear output. Of a pair both texts go this way, each word beside what the other text has for
it, and the output reads them compared (`students.pairs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepdown.errors import ModelError
from stepdown.recipe.settings import LEAST_HIDDEN, Core
from stepdown.students import pairs, tables
from stepdown.students.cores import CORES
from stepdown.students.model import inside

# What the pooling makes of a text's states: their maximum, their mean, their weighted mean.
_POOLED = 3


@dataclass(frozen=True)
class CompactShape:
    """Sizes of a compact student.

    Attributes:
        tiers: (rows, columns) of each embedding table, widest first; rows follow the vocabulary's order.
        width: columns of the widest rows, the input size of the core; of a core of pairs `pairs.aligned_width` of it.
        hidden: size of the core: units of a GRU (in each direction), channels of a convolution.
        classes: outputs.
        core: what reads the words in their order.
        is_pair: whether it reads pairs of texts.
    """

    tiers: tables.Tiers
    width: int
    hidden: int
    classes: int
    core: Core = "gru"
    is_pair: bool = False

    @property
    def vocabulary(self) -> int:
        """Rows over all tiers."""
        return tables.rows_of(self.tiers)

    @property
    def network_parameters(self) -> int:
        """Everything but the tables: core, attention, output."""
        return _network_parameters(self.core, self.width, self.hidden, self.classes, self.is_pair)

    @property
    def parameters(self) -> int:
        """All trained numbers of the student, tables included."""
        return tables.parameters_of(self.tiers) + self.network_parameters

    def describe(self) -> str:
        """What the student is, in a few words for people."""
        each = " over aligned pairs of texts" if self.is_pair else ""
        return f"{CORES[self.core].name}{each}, {tables.thousands(self.vocabulary)} words"


def _network_parameters(core: Core, width: int, hidden: int, classes: int, is_pair: bool) -> int:
    kind = CORES[core]
    states = kind.states_per_hidden * hidden
    attention = states + 1
    output = _features(states, is_pair) * classes + classes
    alignment = pairs.Alignment.PARAMETERS if is_pair else 0
    return kind.parameters(_read(width, is_pair), hidden) + attention + output + alignment


def _read(width: int, is_pair: bool) -> int:
    """Columns that the core reads."""
    return pairs.aligned_width(width) if is_pair else width


def _features(states: int, is_pair: bool) -> int:
    """What the output reads."""
    return _POOLED * states * (pairs.COMPARED if is_pair else 1)


def shape_for(
    max_params: int,
    words: int,
    classes: int,
    core: Core = "gru",
    is_pair: bool = False,
    hidden: int | None = None,
) -> CompactShape:
    """The compact student that spends a budget best, never exceeding it.

    The network grows with the square root of the budget (its parameters grow with the square of its width, so that
    its share stays the same). Where the vocabulary is too small to use up the rest even with full-width rows, the
    network grows instead.

    Args:
        max_params: upper bound on all parameters, everything included.
        words: vocabulary entries that are worth having, reserved ids included.
        classes: outputs.
        core: what reads the words in their order.
        is_pair: whether it reads pairs of texts.
        hidden: size of the core; None for one that suits the budget. Rows are as wide as they would be without it,
            all else goes to more of them, and what they cannot use stays unspent.

    Raises:
        ModelError: the budget is too small for any student with this many classes, or with a core of this size.
    """

    def width(size: int) -> int:
        return max(2, round(size * CORES[core].width_per_hidden))

    def network(size: int, columns: int) -> int:
        return _network_parameters(core, columns, size, classes, is_pair)

    def left(size: int, columns: int) -> int:
        return max_params - network(size, columns)

    size = max(LEAST_HIDDEN, _even(CORES[core].hidden_at_250k * (max_params / 250_000) ** 0.5))
    columns = width(size)
    if hidden is None:
        while size > LEAST_HIDDEN and left(size, width(size)) < max_params // 3:
            size -= 1
        while left(size + 1, width(size + 1)) > words * width(size + 1):
            size += 1
        columns = width(size)
    else:
        size = hidden
    tiers = tables.tiers_for(left(size, columns), words, columns)
    if not tiers:
        least = network(size, columns) + 3 * columns
        what = "its smallest network" if hidden is None else f"its network, with hidden = {hidden},"
        instead = "" if hidden is None else ", or choose a smaller hidden"
        raise ModelError(
            f"A compact student of at most {max_params:,} parameters cannot be built for {classes} classes: "
            f"{what} alone takes {least:,}. Raise max_params{instead}."
        )
    return CompactShape(tiers, columns, size, classes, core, is_pair)


def _even(value: float) -> int:
    return int(value / 2) * 2


class CompactNetwork(nn.Module):
    """The network of a compact student.

    `forward(ids [batch, length] int64, lengths [batch] int64)` gives logits [batch, classes]. Ids beyond a text's
    length are padding and never change its logits.
    """

    def __init__(self, shape: CompactShape) -> None:
        super().__init__()
        self.shape = shape
        kind = CORES[shape.core]
        states = kind.states_per_hidden * shape.hidden
        self.tables = tables.new(shape.tiers)
        if shape.is_pair:
            self.alignment = pairs.Alignment()
        self.core = kind.build(_read(shape.width, shape.is_pair), shape.hidden)
        self.attention = nn.Linear(states, 1)
        self.output = nn.Linear(_features(states, shape.is_pair), shape.classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits, shape [batch, classes]."""
        if self.shape.is_pair:
            ids, lengths = pairs.split(ids, lengths)
        embedded = F.embedding(ids, tables.joined(self.tables, self.shape.width))
        if self.shape.is_pair:
            embedded = self.alignment(embedded, ids, lengths)
        states = self.core(embedded, lengths)
        pooled = _pool(states, self.attention(states), lengths)
        logits: Tensor = self.output(pairs.compared(pooled) if self.shape.is_pair else pooled)
        return logits


def _pool(states: Tensor, scores: Tensor, lengths: Tensor) -> Tensor:
    """Maximum, mean and mean weighted by softmax of the scores, over a text's own words: [batch, 3 · states].

    Args:
        states: [batch, length, states].
        scores: [batch, length, 1].
        lengths: own words of each text, [batch].
    """
    size = states.shape[1]
    if bool((lengths != size).any()):
        own = inside(lengths, size).unsqueeze(-1)
        highest = states.masked_fill(~own, -torch.inf).amax(1)
        mean = (states * own).sum(1) / lengths[:, None]
        scores = scores.masked_fill(~own, -torch.inf)
    else:
        highest, mean = states.amax(1), states.mean(1)
    attended = (scores.softmax(1) * states).sum(1)
    return torch.cat([highest, mean, attended], dim=-1)
