"""What stands in the text and the label columns.

Labels are kept as the strings that people would write: 1, 1.0 and "1" are one label, whatever file they come from.
Where a cell holds several, or several columns are labels, they are tuples of such strings. What they mean together is
for `infer` to say.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stepdown.data.choose import SWITCHES, Columns
from stepdown.data.scores import Floats, ScoreReader, padded
from stepdown.data.table import Table, listing
from stepdown.errors import DataError
from stepdown.tasks import joined, single

# Characters of a text that are kept: more than any model here reads, and a bound on memory.
LONGEST = 100_000

_MISSING = frozenset({"", "nan", "null"})  # "none" is a label that people use
_NONE_APPLIES = "[]"  # in a cell with a separator: an empty one has no label yet

Label = str | tuple[str, ...]


@dataclass
class Values:
    """The different labels of a data set, numbered as they are met."""

    numbers: dict[Label, int] = field(default_factory=dict)

    def number(self, label: Label) -> int:
        """The number of a label, a new one if it is new."""
        return self.numbers.setdefault(label, len(self.numbers))


@dataclass(frozen=True)
class Rows:
    """The rows of one split, as read.

    Attributes:
        name: the table's.
        texts: n texts, stripped, none blank; pairs as `tasks.joined` makes them, one of the two may be blank.
        values: int32 [n], numbers of `Values`; −1 where there is no label.
        first: where each value was met first, as (file, row).
        shortened: texts of which only the first `LONGEST` characters were kept.
        blank: rows with neither text nor label, which were passed over.
        unlabeled: where the first row without a label is, as (file, row).
        scores: what a teacher said of the texts, [n, width], rows of NaN where nothing; None where it was not asked for
            or the table has no such columns.
    """

    name: str
    texts: list[str]
    values: NDArray[np.int32]
    first: dict[int, tuple[str, int]]
    shortened: int
    blank: int
    unlabeled: tuple[str, int] | None
    scores: Floats | None = None


def rows(table: Table, columns: Columns, values: Values, scores: ScoreReader | None = None) -> Rows:
    """All rows of a table.

    Args:
        table: one split.
        columns: of it; without a label column no row has a label.
        values: takes up labels that are new.
        scores: reads what a teacher said of the texts; None where nothing is to be read.

    Raises:
        DataError: a row cannot be read or has a label but no text, a cell is no text or no label, or there are no
            rows.
    """
    texts: list[str] = []
    found = array("i")
    first: dict[int, tuple[str, int]] = {}
    bare: list[tuple[str, int]] = []
    shortened = blank = 0
    unlabeled = None
    sides, known = len(columns.text), len(columns.text) + len(columns.label)
    label_of = _one if len(columns.label) == 1 else _switches
    scored: list[Floats] = []
    for block in table.blocks(*columns.text, *columns.label, *(scores.columns if scores else ())):
        with_text: list[int] = []
        for at, (row, *cells) in enumerate(zip(block.rows, *block.columns[:known], strict=True)):
            text, was_cut = text_of(cells[:sides], columns.text, block.source, row)
            said = label_of(cells[sides:], columns, block.source, row)
            if not text:
                if said is None:
                    blank += 1
                else:
                    bare.append((block.source, row))
                continue
            shortened += was_cut
            texts.append(text)
            with_text.append(at)
            if said is None:
                found.append(-1)
                unlabeled = unlabeled or (block.source, row)
                continue
            number = values.number(said)
            found.append(number)
            if number not in first:
                first[number] = (block.source, row)
        if scores:
            scored.append(scores.read(block.columns[known:], block.source, block.rows)[with_text])
    if bare:
        raise DataError(_no_text(bare, columns.text))
    if not texts:
        raise DataError(
            f"{table.name}: no rows with a text; its columns are: {listing(table.columns)}. "
            f"Expected rows with a text each{', and a label' if columns.label else ''}."
        )
    said_of = padded(scored, scores.width) if scores else None
    return Rows(
        table.name, texts, np.frombuffer(found, np.int32), first, shortened, blank, unlabeled, said_of
    )


def only_texts(table: Table, columns: Sequence[str]) -> Iterator[list[str]]:
    """The texts of a column, or pairs of two, block by block, stripped; blank ones are left out.

    Raises:
        DataError: a row cannot be read, or a cell holds a list.
    """
    for block in table.blocks(*columns):
        numbered = zip(block.rows, *block.columns, strict=True)
        texts = (text_of(cells, columns, block.source, row)[0] for row, *cells in numbered)
        yield [text for text in texts if text]


def scored_texts(
    table: Table, columns: Sequence[str], scores: ScoreReader
) -> Iterator[tuple[list[str], Floats]]:
    """As `only_texts`, with the scores of each block's texts, [n, width]; rows of NaN where there are none.

    Raises:
        DataError: also where a cell holds no scores.
    """
    sides = len(columns)
    for block in table.blocks(*columns, *scores.columns):
        numbered = zip(block.rows, *block.columns[:sides], strict=True)
        texts = [text_of(cells, columns, block.source, row)[0] for row, *cells in numbered]
        read = scores.read(block.columns[sides:], block.source, block.rows)
        kept = [at for at, text in enumerate(texts) if text]
        yield [texts[at] for at in kept], padded([read[kept]], scores.width)


# --- texts --------------------------------------------------------------------------------------------------------


def text_of(cells: Sequence[Any], columns: Sequence[str], source: str, row: int) -> tuple[str, bool]:
    """The text or the pair of a row, "" if all of it is blank; and whether it was cut short.

    Args:
        cells: of the row, one for each column.
        columns: one, or the two of a pair.
        source: as messages name it.
        row: its number.

    Raises:
        DataError: a cell is no text.
    """
    found = [_text(cell, column, source, row) for cell, column in zip(cells, columns, strict=True)]
    if not any(found):
        return "", False
    kept = [_encodable(single(text[:LONGEST])) for text in found]
    return kept[0] if len(kept) == 1 else joined(*kept), any(len(text) > LONGEST for text in found)


def _text(cell: Any, column: str, source: str, row: int) -> str:
    """A cell as a text; "" if it is missing."""
    if isinstance(cell, str):
        return cell.strip()
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, int | float):
        return str(cell)
    raise DataError(f"{source}: row {row:,}: {column!r} holds a {_kind(cell)}, expected a text.")


def _encodable(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can hold and UTF-8 cannot."""
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


def _no_text(bare: Sequence[tuple[str, int]], columns: Sequence[str]) -> str:
    source = bare[0][0]
    numbers = [row for name, row in bare if name == source]
    shown = ", ".join(f"{row:,}" for row in numbers[:5]) + (", …" if len(numbers) > 5 else "")
    what = f"row {shown} has" if len(numbers) == 1 else f"{len(numbers):,} rows have"
    where = "" if len(numbers) == 1 else f" (rows {shown})"
    place = " and ".join(repr(column) for column in columns)
    return f"{source}: {what} a label but no text in {place}{where}. Fill in the text, or remove the row."


# --- labels -------------------------------------------------------------------------------------------------------


def _one(cells: Sequence[Any], columns: Columns, source: str, row: int) -> Label | None:
    """The label, or the labels, of a single column; None if it has none."""
    (cell,), (column,) = cells, columns.label
    if isinstance(cell, list | tuple | set):
        if columns.separator is not None:
            raise DataError(
                f"{source}: row {row:,}: {column!r} holds a {_kind(cell)}; label_separator is for texts. Leave it out."
            )
        return tuple(_member(member, column, source, row) for member in cell)
    said = _label(cell, column, source, row)
    if said is None or columns.separator is None:
        return said
    if said == _NONE_APPLIES:
        return ()
    return tuple(sorted({part.strip() for part in said.split(columns.separator)} - {""}))


def _member(cell: Any, column: str, source: str, row: int) -> str:
    """A label of a list."""
    said = _label(cell, column, source, row)
    if said is None:
        raise DataError(f"{source}: row {row:,}: {column!r} holds a list with an empty label. Take it out.")
    return said


def _switches(cells: Sequence[Any], columns: Columns, source: str, row: int) -> Label | None:
    """The names of the columns that say that their label applies; None where all are empty, or −1."""
    names = columns.label
    said = [_label(cell, name, source, row) for cell, name in zip(cells, names, strict=True)]
    if all(one in (None, "-1", "-1.0") for one in said):
        return None
    for name, one in zip(names, said, strict=True):
        if one is None or one.casefold() not in SWITCHES:
            what = "is empty" if one is None else f"holds {one[:40]!r}"
            raise DataError(
                f"{source}: row {row:,}: the label column {name!r} {what}. Where several columns are labels, expected "
                f"1 or 0, true or false, in each of them; or nothing in all of them, where the labels are not known."
            )
    return tuple(name for name, one in zip(names, said, strict=True) if one and SWITCHES[one.casefold()])


def _label(cell: Any, column: str, source: str, row: int) -> str | None:
    """A cell as one label, None if it has none."""
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
            f"{source}: row {row:,}: {column!r} holds a {_kind(cell)}, expected a label, or a plain list of labels."
        )
    return str(cell)


def _kind(cell: Any) -> str:
    return {"dict": "table"}.get(type(cell).__name__, type(cell).__name__)
