"""Numbers that a teacher gave to texts, as they stand in the user's data.

A column for each of a teacher's outputs; or one column of lists, or of tables from a label's name to its score, as JSON
lines and Parquet hold them and as text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdown.data.table import Table, did_you_mean, listing
from stepdown.errors import DataError

Floats = NDArray[np.float64]

_MISSING = frozenset({"", "nan", "null", "none"})


def columns_of(table: Table, wanted: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of scores in a table, and what each is called.

    Args:
        table: that has them.
        wanted: the columns, or one pattern with a `*`, which stands for what each of them is called.

    Raises:
        DataError: there are none.
    """
    if "*" not in wanted[0]:
        for column in wanted:
            if column not in table.columns:
                raise DataError(
                    f"{table.name}: no column {column!r} with scores of the teacher. Its columns are: "
                    f"{listing(table.columns)}.{did_you_mean(column, table.columns)}"
                )
        return tuple(wanted), tuple(wanted)
    before, _, after = wanted[0].partition("*")
    found = {
        column: column[len(before) : len(column) - len(after)]
        for column in table.columns
        if column.startswith(before) and column.endswith(after) and len(column) > len(before) + len(after)
    }
    if not found:
        raise DataError(
            f"{table.name}: no column fits {wanted[0]!r}, by which scores of the teacher were asked for. Its columns "
            f"are: {listing(table.columns)}."
        )
    return tuple(found), tuple(found.values())


class ScoreReader:
    """Reads the scores of rows, which are written alike in all tables of a data set.

    Attributes:
        columns: that are read.
        names: what the scores are called, in their order; None where lists leave them without names.
        width: scores of a row; 0 until a row with scores was met.
    """

    def __init__(self, columns: Sequence[str], names: Sequence[str]) -> None:
        """Read some columns, and call them by some names."""
        self.columns = tuple(columns)
        self.names: tuple[str, ...] | None = tuple(names)
        self.width = 0
        self._holds_collections = False

    def read(self, cells: Sequence[list[Any]], source: str, rows: Sequence[int]) -> Floats:
        """The scores of some rows, [n, width]; rows of NaN where any of theirs is missing.

        Args:
            cells: n of each column.
            source: as messages name it.
            rows: number of each row.

        Raises:
            DataError: a cell holds no scores, or not as many as others, or what is not finite.
        """
        if self.width == 0:
            self._settle(cells[0], source, rows)
        if self._holds_collections:
            found = self._collections(cells[0], source, rows)
        else:
            named = zip(cells, self.columns, strict=True)
            found = np.stack([_numbers(own, column, source, rows) for own, column in named], axis=1)
        found[np.isnan(found).any(axis=1)] = np.nan
        return found

    def _settle(self, cells: list[Any], source: str, rows: Sequence[int]) -> None:
        """Find out what a column holds, from the first cell of it that is not empty."""
        at = next((at for at, cell in enumerate(cells) if not _is_missing(cell)), None)
        if at is None and len(self.columns) == 1:
            return
        first = _collection(cells[at], self.columns[0], source, rows[at]) if at is not None else None
        if first is None or len(self.columns) > 1:
            self.width = len(self.columns)
            return
        self._holds_collections, self.width = True, len(first)
        self.names = tuple(map(str, first)) if isinstance(first, dict) else None
        if not first:
            raise DataError(
                f"{source}: row {rows[at or 0]:,}: {self.columns[0]!r} is empty, expected a score for each label."
            )

    def _collections(self, cells: list[Any], source: str, rows: Sequence[int]) -> Floats:
        (column,) = self.columns
        found = np.full((len(cells), self.width), np.nan)
        for at, cell in enumerate(cells):
            if _is_missing(cell):
                continue
            said = _collection(cell, column, source, rows[at])
            where = f"{source}: row {rows[at]:,}: {column!r}"
            if isinstance(said, dict) != (self.names is not None) or said is None:
                raise DataError(
                    f"{where} holds {str(cell)[:40]!r}, expected {self._expected} as in the rows before."
                )
            if isinstance(said, dict) and self.names is not None:
                lacking = [name for name in self.names if name not in said]
                if lacking or len(said) != self.width:
                    odd = lacking or [name for name in said if name not in self.names]
                    what = "lacks" if lacking else "has"
                    raise DataError(
                        f"{where} {what} {listing(odd)}, unlike the rows before: {listing(self.names)}."
                    )
                said = [said[name] for name in self.names]
            elif len(said) != self.width:
                raise DataError(
                    f"{where} holds {len(said)} scores, expected {self.width} as in the rows before."
                )
            found[at] = _numbers(list(said), column, source, [rows[at]] * self.width)
        return found

    @property
    def _expected(self) -> str:
        return "a list of scores" if self.names is None else "a table from labels to scores"


def padded(scores: Sequence[Floats], width: int) -> Floats:
    """Scores of several blocks as one array, [n, width]; blocks without any may have another width."""
    parts = [one if one.shape[1] == width else np.full((len(one), width), np.nan) for one in scores]
    return np.concatenate(parts) if parts else np.full((0, width), np.nan)


def _is_missing(cell: Any) -> bool:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return True
    return isinstance(cell, str) and cell.strip().casefold() in _MISSING


def _collection(cell: Any, column: str, source: str, row: int) -> dict[str, Any] | list[Any] | None:
    """A cell as a list or as a table from names to scores, which may be written as text; None if it is neither."""
    if isinstance(cell, dict | list):
        return cell
    if not isinstance(cell, str) or cell.strip()[:1] not in ("[", "{"):
        return None
    try:
        read = json.loads(cell)
    except ValueError:
        # As numpy and pandas write an array: [0.1 0.9]
        inside = cell.strip()
        if inside.startswith("[") and inside.endswith("]"):
            return inside[1:-1].replace(",", " ").split()
        raise DataError(
            f"{source}: row {row:,}: {column!r} holds {cell[:40]!r}, expected scores as JSON, such as [0.1, 0.9]."
        ) from None
    return read if isinstance(read, dict | list) else None


def _numbers(cells: list[Any], column: str, source: str, rows: Sequence[int]) -> Floats:
    """Cells of a column as numbers, [n]; NaN where one is missing."""
    try:
        found = np.array(cells, np.float64)  # of numbers, of texts of numbers, and None
    except (TypeError, ValueError):
        found = np.array(
            [_number(cell, column, source, row) for cell, row in zip(cells, rows, strict=True)], np.float64
        )
    if found.ndim == 1 and not np.isinf(found).any():
        return found
    # Say which one it is.
    for cell, row in zip(cells, rows, strict=True):
        if math.isinf(_number(cell, column, source, row)):
            raise DataError(f"{source}: row {row:,}: {column!r} holds {cell}, expected a finite score.")
    return found


def _number(cell: Any, column: str, source: str, row: int) -> float:
    if _is_missing(cell):
        return math.nan
    try:
        return float(cell)
    except (TypeError, ValueError):
        raise DataError(
            f"{source}: row {row:,}: {column!r} holds {str(cell)[:40]!r}, expected a score of the teacher, a number."
        ) from None
