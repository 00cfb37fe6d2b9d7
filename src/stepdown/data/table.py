"""A table of rows, whatever file or hub it comes from, read in blocks and only in the columns that are needed."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stepdown.errors import DataError

BLOCK = 8192  # rows of a block; a block of ordinary texts is a few megabytes


@dataclass(frozen=True)
class Block:
    """Some rows.

    Attributes:
        source: the file or hub id that they come from, as messages name it.
        rows: the number of each row, as people count: from 1, a header included, blank lines too.
        columns: the values of each column that was asked for, in that order.
    """

    source: str
    rows: Sequence[int]
    columns: tuple[list[Any], ...]


Reader = Callable[[tuple[str, ...]], Iterator[Block]]
Numbered = tuple[str, int, dict[str, Any]]


@dataclass(frozen=True)
class Table:
    """Rows that can be read any number of times.

    Attributes:
        name: as messages name it.
        columns: names of all columns, in the file's order.
        read: yields blocks with the columns it is given, which exist.
        label_names: for columns of integers that stand for names: the names, in order.
        notes: what a user might want to know of how it is read.
        objects: yields the rows of JSON lines whole, as (file or hub id, number of the row, what is in it by key): of
            them any row may have other keys than the first ones. None where all rows have the columns.
    """

    name: str
    columns: tuple[str, ...]
    read: Reader
    label_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    objects: Callable[[], Iterator[Numbered]] | None = None

    def whole_rows(self) -> Iterator[Numbered]:
        """All rows with all that is in them.

        Raises:
            DataError: as `blocks`.
        """
        if self.objects is not None:
            yield from self.objects()
            return
        for block in self.blocks(*self.columns):
            for row, *cells in zip(block.rows, *block.columns, strict=True):
                yield block.source, row, dict(zip(self.columns, cells, strict=True))

    def blocks(self, *columns: str) -> Iterator[Block]:
        """The rows of some columns.

        Raises:
            DataError: a column is missing or there twice, or a row cannot be read.
        """
        for column in columns:
            if column not in self.columns:
                raise DataError(
                    f"{self.name}: no column {column!r}. Its columns are: {listing(self.columns)}."
                    f"{did_you_mean(column, self.columns)}"
                )
            if self.columns.count(column) > 1:
                raise DataError(
                    f"{self.name}: two columns are named {column!r}. Rename or remove one of them."
                )
        yield from self.read(columns)


def join(tables: Sequence[Table], name: str) -> Table:
    """The rows of several tables (the part files of one split) as one table, with the first one's columns."""
    if len(tables) == 1:
        return tables[0]

    def read(columns: tuple[str, ...]) -> Iterator[Block]:
        for table in tables:
            yield from table.blocks(*columns)

    def objects() -> Iterator[Numbered]:
        for table in tables:
            yield from table.whole_rows()

    notes = tuple(note for table in tables for note in table.notes)
    return Table(name, tables[0].columns, read, tables[0].label_names, notes, objects)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A sentence with the nearest known word, or nothing where none is near."""
    lowered = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), lowered, n=1)
    return f" Did you mean {lowered[near[0]]!r}?" if near else ""


def listing(names: Sequence[str], most: int = 12) -> str:
    """Names in a row, long ones and long lists cut short."""
    shown = [repr(name if len(name) <= 40 else name[:39] + "…") for name in names[:most]]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(shown) + more
