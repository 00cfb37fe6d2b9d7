"""Tiered embedding tables: frequent words get wide rows, rare ones narrow rows padded with zeros.

That works because the columns of the initial embeddings are ordered by importance (`students.embeddings`); compare
adaptive input representations (Baevski and Auli 2019), which give each tier a linear map in the place of zeros.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Tiers = tuple[tuple[int, int], ...]
"""(rows, columns) of each table, widest first; rows follow the order of the vocabulary."""

TABLES = "tables"
"""What the tables are called in the networks that have them."""

# The proportions that measured best at 250K parameters: 15% of the rows full, 25% half, 60% a tenth as wide (LOG.md).
_ROWS = (0.15, 0.25, 0.60)
_WIDTHS = (1.0, 0.5, 0.1)
_FEWEST_ROWS = 3  # padding, the unknown word, and a word


def tiers_for(budget: int, words: int, width: int) -> Tiers:
    """Tables that spend a budget: as many words as it carries, and when all fit, wider rows for all of them.

    Args:
        budget: most parameters of all tables together.
        words: vocabulary entries that are worth having, pad and unknown included.
        width: columns of the widest rows.

    Returns:
        No tables where not even three rows fit.
    """
    columns = [max(1, round(width * share)) for share in _WIDTHS]
    lean = sum(share * size for share, size in zip(_ROWS, columns, strict=True))
    rows = min(words, int(budget / lean))
    if rows < _FEWEST_ROWS:
        return ()
    # How far to go from the lean split (0) to all rows full (1), so that the mean row costs budget / rows.
    fullness = min(1.0, max(0.0, (budget / rows - lean) / (width - lean))) if width > lean else 1.0
    second = int(rows * _ROWS[1] * (1 - fullness))
    third = int(rows * _ROWS[2] * (1 - fullness))
    counts = [rows - second - third, second, third]
    while sum(n * size for n, size in zip(counts, columns, strict=True)) > budget:
        counts[0] -= 1  # rounding left a row or two too many
    if sum(counts) < _FEWEST_ROWS:
        return ()
    by_columns: dict[int, int] = {}
    for count, size in zip(counts, columns, strict=True):
        by_columns[size] = by_columns.get(size, 0) + count  # narrow tiers may be of one width
    return tuple((count, size) for size, count in by_columns.items() if count > 0)


def rows_of(tiers: Tiers) -> int:
    """Rows over all tables."""
    return sum(rows for rows, _ in tiers)


def parameters_of(tiers: Tiers) -> int:
    """Numbers over all tables."""
    return sum(rows * columns for rows, columns in tiers)


def new(tiers: Tiers) -> nn.ParameterList:
    """Tables with random rows."""
    return nn.ParameterList([nn.Parameter(torch.randn(rows, columns) * 0.1) for rows, columns in tiers])


def load(tables: Iterable[Tensor], initial: Tensor) -> None:
    """Copy initial embeddings [vocabulary, width] into the tables, each row cut to its table's columns."""
    start = 0
    with torch.no_grad():
        for table in tables:
            rows, columns = table.shape
            table.copy_(initial[start : start + rows, :columns])
            start += rows


def joined(tables: Iterable[Tensor], width: int) -> Tensor:
    """All embeddings at full width, shape [vocabulary, width]."""
    return torch.cat([F.pad(table, (0, width - table.shape[1])) for table in tables])


def thousands(rows: int) -> str:
    """A number of rows as people say it: 20K, 180."""
    return f"{rows / 1000:.0f}K" if rows >= 1000 else str(rows)
