"""Rows of text, one by one, in constant memory: what they are, and those of the command line and of a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from stepdown.errors import DataError
from stepdown.runtime.inputs import Text

# Longest line of a stream or a file: beyond, it is no text but a mistake, and memory must be bounded.
LONGEST_LINE = 64 * 2**20


@dataclass(frozen=True)
class Row:
    """One text, or one pair of texts, and where it came from.

    Attributes:
        number: of the row, from 1, the header not counted.
        text: what the model is asked about.
        columns: all columns of the row as they were, the text's own included; empty for lines of text.
    """

    number: int
    text: Text
    columns: dict[str, Any] = field(default_factory=dict)


class BadRow(DataError):
    """One row that cannot be read; the rows after it can."""


@dataclass(frozen=True)
class Table:
    """Rows to come.

    Attributes:
        columns: names of the columns, in order, where they are known before the first row; else None.
        rows: every row, or the error that stands in its place.
        share: how much of the input was read so far, 0 to 1; None where nobody knows.
    """

    columns: tuple[str, ...] | None
    rows: Iterator[Row | BadRow]
    share: Callable[[], float | None] = lambda: None


def from_texts(texts: Iterable[Text]) -> Table:
    """Rows of texts, or of pairs, in memory."""
    return Table((), (Row(number, text) for number, text in enumerate(texts, 1)))


def from_stream(stream: BinaryIO, *, is_pair: bool = False) -> Iterator[list[Row | BadRow]]:
    """Rows of a stream, a text or a pair a line, in lists of what has come so far: nothing waits for a full list."""
    number, parts = 0, [b""]
    size = 0
    # Not read(): that would wait for the end. What has come is answered before more is waited for.
    while data := stream.read1(1 << 16):  # type: ignore[attr-defined]  # BinaryIO lacks it
        parts.append(data)
        size += len(data)
        if size > LONGEST_LINE and b"\n" not in data:
            raise DataError(f"A line of more than {LONGEST_LINE:,} bytes came in. Expected a text a line.")
        if b"\n" in data:
            *lines, rest = b"".join(parts).split(b"\n")
            parts, size = [rest], len(rest)
            yield [line(one, number + index, "stdin", is_pair) for index, one in enumerate(lines, 1)]
            number += len(lines)
    if last := b"".join(parts):
        yield [line(last, number + 1, "stdin", is_pair)]


def line(content: bytes, number: int, where: str, is_pair: bool) -> Row | BadRow:
    """The row of a line of UTF-8: all of it is the text; a pair's two texts have the line's only tab between them."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        return BadRow(f"{where}, row {number}: not UTF-8 at byte {error.start}. Save the text as UTF-8.")
    text = (text.removeprefix("\ufeff") if number == 1 else text).rstrip("\r\n")
    if not is_pair:
        return Row(number, text)
    pair = tuple(text.split("\t"))
    if len(pair) != 2:
        return BadRow(
            f"{where}, row {number}: {len(pair) - 1} tabs. Expected two texts with one tab between them, for the model "
            "reads pairs; texts that hold tabs can come from a .jsonl file (--input)."
        )
    return Row(number, pair)
