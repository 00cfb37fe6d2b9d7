"""`bag`: the average of embeddings of words and of hashed pairs of neighbouring words, and one linear output.

Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification" (fastText). Nothing is computed but sums of rows,
so it is what there is for the last factor of ten in speed. Where a text has n words, n word rows and n − 1 pair rows
are averaged. The pairs share a table of fixed size by a hash of their two ids; their rows start at zero, so that a
student begins as what the teacher lends it: its opinion of each word alone. Of a pair of texts each has an average of
its own, and the output reads both compared (`students.pairs`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepdown.errors import ModelError
from stepdown.students import pairs, tables
from stepdown.students.model import inside

# The hash of a pair (a, b) is (a · FIRST + b · SECOND) mod PRIME mod buckets, in int64: all three are primes, and with
# ids below 2²⁹ nothing passes 2⁶².
FIRST, SECOND, PRIME = 2_654_435_761, 2_246_822_519, 2_147_483_647
_SMALLEST_WIDTH = 2
# Where there are classes enough; it grows with the square root of the budget, as a compact student's does.
_WIDTH_AT_250K = 32
# What compares two texts gains by more columns than one for each class (LOG.md).
_WIDTH_OF_PAIRS_AT_250K = 64
# Most of the table budget that words may take, pairs get the rest; words that need less leave more to the pairs.
_WORD_SHARE = 0.5


@dataclass(frozen=True)
class BagShape:
    """Sizes of a bag.

    Attributes:
        tiers: (rows, columns) of each table of words, widest first; rows follow the vocabulary's order.
        width: columns of the widest rows, the input size of the output.
        buckets: rows of the table of pairs.
        pair_columns: its columns, at most `width`.
        classes: outputs.
        is_pair: whether it reads pairs of texts.
    """

    tiers: tables.Tiers
    width: int
    buckets: int
    pair_columns: int
    classes: int
    is_pair: bool = False

    @property
    def vocabulary(self) -> int:
        """Rows over all tiers of words."""
        return tables.rows_of(self.tiers)

    @property
    def network_parameters(self) -> int:
        """Everything but the tables: the output."""
        return _output_parameters(self.width, self.classes, self.is_pair)

    @property
    def parameters(self) -> int:
        """All trained numbers, tables included."""
        return tables.parameters_of(self.tiers) + self.buckets * self.pair_columns + self.network_parameters

    def describe(self) -> str:
        """What the student is, in a few words for people."""
        of = "of each text of a pair, " if self.is_pair else ""
        words, buckets = tables.thousands(self.vocabulary), tables.thousands(self.buckets)
        return f"bag {of}of {words} words and {buckets} hashed pairs"


def _features(width: int, is_pair: bool) -> int:
    """What the output reads."""
    return width * (pairs.COMPARED if is_pair else 1)


def _output_parameters(width: int, classes: int, is_pair: bool) -> int:
    return _features(width, is_pair) * classes + classes


def shape_for(max_params: int, words: int, classes: int, neighbours: int, is_pair: bool = False) -> BagShape:
    """The bag that spends a budget, never exceeding it.

    A bag is linear, so that for C classes C − 1 columns say all that it can say of a word of a single text. What
    compares two texts is not.

    Args:
        max_params: upper bound on all parameters, everything included.
        words: vocabulary entries that are worth having, reserved ids included.
        classes: outputs.
        neighbours: how many buckets are worth having at most: the pairs of neighbours in the texts, repeats included.
        is_pair: whether it reads pairs of texts.

    Raises:
        ModelError: the budget is too small for any bag with this many classes.
    """
    wide = round(
        (_WIDTH_OF_PAIRS_AT_250K if is_pair else _WIDTH_AT_250K) * (max(0, max_params) / 250_000) ** 0.5
    )
    width = max(_SMALLEST_WIDTH, wide if is_pair else min(wide, classes - 1))
    while width > _SMALLEST_WIDTH and _output_parameters(width, classes, is_pair) > max_params // 3:
        width -= 1
    columns = max(1, round(width / 2))
    table = max_params - _output_parameters(width, classes, is_pair)
    tiers = tables.tiers_for(int(table * _WORD_SHARE), words, width)
    if not tiers:
        needed = _output_parameters(width, classes, is_pair) + int(3 * width / _WORD_SHARE)
        raise ModelError(
            f"A bag of at most {max_params:,} parameters cannot be built for {classes} classes: the smallest takes "
            f"{needed:,}. Raise max_params."
        )
    buckets = max(1, min(neighbours, (table - tables.parameters_of(tiers)) // columns))
    # What few pairs leave over, the words may have.
    tiers = tables.tiers_for(table - buckets * columns, words, width)
    return BagShape(tiers, width, buckets, columns, classes, is_pair)


class BagNetwork(nn.Module):
    """The network of a bag.

    `forward(ids [batch, length] int64, lengths [batch] int64)` gives logits [batch, classes]. Ids beyond a text's
    length are padding and never change its logits.
    """

    def __init__(self, shape: BagShape) -> None:
        super().__init__()
        self.shape = shape
        self.tables = tables.new(shape.tiers)
        self.pairs = nn.Parameter(torch.zeros(shape.buckets, shape.pair_columns))
        self.output = nn.Linear(_features(shape.width, shape.is_pair), shape.classes)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Logits, shape [batch, classes]."""
        width = self.shape.width
        if self.shape.is_pair:
            ids, lengths = pairs.split(ids, lengths)
        own = inside(lengths, ids.shape[1])
        words = F.embedding(ids, tables.joined(self.tables, width))
        neighbours = F.embedding(bucket(ids[:, :-1], ids[:, 1:], self.shape.buckets), self.pairs)
        summed = _sum(words, own) + F.pad(_sum(neighbours, own[:, 1:]), (0, width - neighbours.shape[-1]))
        mean = summed / (2 * lengths - 1)[:, None]
        logits: Tensor = self.output(pairs.compared(mean) if self.shape.is_pair else mean)
        return logits


def bucket(first: Tensor, second: Tensor, buckets: int) -> Tensor:
    """Row of each pair of ids in the table of pairs; int64, of the shape of both."""
    return (first * FIRST + second * SECOND) % PRIME % buckets


def _sum(rows: Tensor, own: Tensor) -> Tensor:
    """Sum of the rows [batch, length, columns] that are a text's own [batch, length]: [batch, columns]."""
    return torch.einsum("blc,bl->bc", rows, own.to(rows.dtype))
