"""What stands in the text and the label column.

Labels are kept as the strings that people would write: 1, 1.0 and "1" are one label, whatever file they come from.
What they mean together is for `infer` to say.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdown.data.choose import DOES, Columns
from stepdown.data.table import Table, listing
from stepdown.errors import DataError

# Characters of a text that are kept: more than any model here reads, and a bound on memory.
LONGEST = 100_000

_MISSING = frozenset({"", "nan", "null"})  # "none" is a label that people use


@dataclass
class Values:
    """The different labels of a data set, numbered as they are met."""

    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, label: str) -> int:
        """The number of a label, a new one if it is new."""
        return self.numbers.setdefault(label, len(self.numbers))


@dataclass(frozen=True)
class Rows:
    """The rows of one split, as read.

    Attributes:
        name: the table's.
        texts: n texts, stripped, none blank.
        values: int32 [n], numbers of `Values`; −1 where there is no label.
        first: where each value was met first, as (file, row).
        shortened: texts of which only the first `LONGEST` characters were kept.
        blank: rows with neither text nor label, which were passed over.
        unlabeled: where the first row without a label is, as (file, row).
    """

    name: str
    texts: list[str]
    values: NDArray[np.int32]
    first: dict[int, tuple[str, int]]
    shortened: int
    blank: int
    unlabeled: tuple[str, int] | None


def rows(table: Table, columns: Columns, values: Values) -> Rows:
    """All rows of a table.

    Args:
        table: one split.
        columns: of it.
        values: takes up labels that are new.

    Raises:
        DataError: a row cannot be read or has a label but no text, a cell holds a list, or there are no rows.
    """
    texts: list[str] = []
    found = array("i")
    first: dict[int, tuple[str, int]] = {}
    bare: list[tuple[str, int]] = []
    shortened = blank = 0
    unlabeled = None
    for block in table.blocks(columns.text, columns.label):
        for row, cell, label in zip(block.rows, *block.columns, strict=True):
            text = cell.strip() if type(cell) is str else _text(cell, columns.text, block.source, row)
            said = _label(label, columns.label, block.source, row)
            if not text:
                if said is None:
                    blank += 1
                else:
                    bare.append((block.source, row))
                continue
            if len(text) > LONGEST:
                text, shortened = text[:LONGEST], shortened + 1
            texts.append(text if text.isascii() else _encodable(text))
            if said is None:
                found.append(-1)
                unlabeled = unlabeled or (block.source, row)
                continue
            number = values.number(said)
            found.append(number)
            if number not in first:
                first[number] = (block.source, row)
    if bare:
        raise DataError(_no_text(bare, columns.text))
    if not texts:
        raise DataError(
            f"{table.name}: no rows with a text; its columns are: {listing(table.columns)}. "
            f"Expected rows with a text and a label each."
        )
    return Rows(table.name, texts, np.frombuffer(found, np.int32), first, shortened, blank, unlabeled)


def only_texts(table: Table, column: str) -> Iterator[list[str]]:
    """The texts of a column block by block, stripped; blank ones are left out.

    Raises:
        DataError: a row cannot be read, or a cell holds a list.
    """
    for block in table.blocks(column):
        cells = zip(block.rows, block.columns[0], strict=True)
        texts = (
            cell.strip() if type(cell) is str else _text(cell, column, block.source, row)
            for row, cell in cells
        )
        yield [_encodable(text[:LONGEST]) for text in texts if text]


def _text(cell: Any, column: str, source: str, row: int) -> str:
    """A cell that is no string as a text; "" if it is missing."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, int | float):
        return str(cell)
    raise DataError(f"{source}: row {row:,}: {column!r} holds a {_kind(cell)}, expected a text.")


def _label(cell: Any, column: str, source: str, row: int) -> str | None:
    """A cell as a label, None if it has none."""
    if isinstance(cell, str):
        said = cell.strip()
        return None if said.casefold() in _MISSING else said
    if cell is None:
        return None
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, list | tuple | dict | set):
        raise DataError(
            f"{source}: row {row:,}: {column!r} holds a {_kind(cell)}: several labels a text, but {DOES}."
        )
    return str(cell)


def _kind(cell: Any) -> str:
    return {"dict": "table"}.get(type(cell).__name__, type(cell).__name__)


def _encodable(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


def _no_text(bare: Sequence[tuple[str, int]], column: str) -> str:
    source = bare[0][0]
    numbers = [row for name, row in bare if name == source]
    shown = ", ".join(f"{row:,}" for row in numbers[:5]) + (", …" if len(numbers) > 5 else "")
    what = f"row {shown} has" if len(numbers) == 1 else f"{len(numbers):,} rows have"
    where = "" if len(numbers) == 1 else f" (rows {shown})"
    return f"{source}: {what} a label but no text in {column!r}{where}. Fill in the text, or remove the row."
