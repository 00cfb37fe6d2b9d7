"""Rows of text from the command line, from a stream, or from a file, one by one, in constant memory."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from stepdown.errors import DataError, InputError, missing_extra

# Longest line of a file, and longest cell: beyond, it is no text but a mistake, and memory must be bounded.
_LONGEST_LINE = 64 * 2**20
_PARQUET_ROWS = 4096
# Columns that hold the text where the user names none.
_USUAL = ("text", "sentence", "content", "review", "body", "comment", "message")


@dataclass(frozen=True)
class Row:
    """One text and where it came from.

    Attributes:
        number: of the row, from 1, the header not counted.
        text: what is to be classified.
        columns: all columns of the row as they were, the text's own included; empty for lines of text.
    """

    number: int
    text: str
    columns: dict[str, Any] = field(default_factory=dict)


class BadRow(DataError):
    """One row that cannot be read; the rows after it can."""


@dataclass(frozen=True)
class Table:
    """Rows to come.

    Attributes:
        columns: names of the columns, in order, where they are known before the first row; else None.
        rows: every row, or the error that stands in its place.
    """

    columns: tuple[str, ...] | None
    rows: Iterator[Row | BadRow]


def from_texts(texts: Iterable[str]) -> Table:
    """Rows of texts in memory."""
    return Table((), (Row(number, text) for number, text in enumerate(texts, 1)))


def from_file(path: Path, column: str | None) -> Table:
    """Rows of a .csv, .tsv, .jsonl, .txt or .parquet file; of a .txt every line is a text.

    Args:
        path: of the file.
        column: the one with the text; None where it is the only one or has a usual name.

    Raises:
        DataError: there is no such file, of a kind that is read here, or it has no such column.
        InputError: it needs a library that is not installed.
    """
    readers: dict[str, Callable[[Path, str | None], Table]] = {
        ".csv": _csv,
        ".tsv": _tsv,
        ".jsonl": _jsonl,
        ".ndjson": _jsonl,
        ".txt": _lines,
        ".parquet": _parquet,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DataError(f"{path}: its name ends in none of {', '.join(readers)}. Rename or convert it.")
    if not path.is_file():
        raise DataError(f"There is no file {path}. Check the spelling and the folder.")
    with _readable(path):
        return reader(path, column)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def from_stream(stream: BinaryIO) -> Iterator[list[Row | BadRow]]:
    """Rows of a stream, a text a line, in lists of what has come so far: nothing waits for a full list."""
    number, parts = 0, [b""]
    size = 0
    # Not read(): that would wait for the end. What has come is answered before more is waited for.
    while data := stream.read1(1 << 16):  # type: ignore[attr-defined]  # BinaryIO lacks it
        parts.append(data)
        size += len(data)
        if size > _LONGEST_LINE and b"\n" not in data:
            raise DataError(f"A line of more than {_LONGEST_LINE:,} bytes came in. Expected a text a line.")
        if b"\n" in data:
            *lines, rest = b"".join(parts).split(b"\n")
            parts, size = [rest], len(rest)
            yield [_line(line, number + index, "stdin") for index, line in enumerate(lines, 1)]
            number += len(lines)
    if last := b"".join(parts):
        yield [_line(last, number + 1, "stdin")]


def _line(line: bytes, number: int, where: str) -> Row | BadRow:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        return BadRow(f"{where}, row {number}: not UTF-8 at byte {error.start}. Save the text as UTF-8.")
    return Row(number, text.removeprefix("\ufeff").rstrip("\r\n") if number == 1 else text.rstrip("\r\n"))


def _lines(path: Path, column: str | None) -> Table:
    if column is not None:
        raise DataError(f"{path} has no columns: every line is a text. Leave --column out.")
    lines = enumerate(_file_lines(path), 1)
    return Table((), (_line(line, number, str(path)) for number, line in lines))


def _file_lines(path: Path) -> Iterator[bytes]:
    with _readable(path), path.open("rb") as file:
        while line := file.readline(_LONGEST_LINE):
            if len(line) == _LONGEST_LINE:
                raise DataError(
                    f"{path} has a line of {_LONGEST_LINE:,} bytes or more, so it is no table of texts."
                )
            yield line


def _jsonl(path: Path, column: str | None) -> Table:
    return Table(None, _jsonl_rows(path, column))


def _jsonl_rows(path: Path, column: str | None) -> Iterator[Row | BadRow]:
    for number, line in enumerate(_file_lines(path), 1):
        if not line.strip():
            continue
        where = f"{path}, row {number}"
        try:
            value = json.loads(line.decode("utf-8-sig"), parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            yield BadRow(f"{where}: no JSON: {error}. Expected one object a line.")
            continue
        if not isinstance(value, dict):
            yield BadRow(f"{where}: a {type(value).__name__}. Expected a JSON object.")
            continue
        # The first object tells which column it is; the others must have it too.
        column = column or _choose(tuple(value), None, path)
        yield _row(number, value, column, where)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _csv(path: Path, column: str | None) -> Table:
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_LINE))
    first = next(_file_lines(path), b"").decode("utf-8", "replace")
    delimiter = max(",;\t", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    return _delimited(path, column, csv.reader(_decoded(path), delimiter=delimiter, strict=True))


def _tsv(path: Path, column: str | None) -> Table:
    return _delimited(path, column, _TabReader(_decoded(path)))


class _TabReader:
    """Reads as `csv.reader` does, but by the rules of .tsv files: a row is a line, and quotes are text.

    Only a cell that is quoted as a whole, as spreadsheets write it, loses its quotes.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines
        self.line_num = 0

    def __next__(self) -> list[str]:
        line = next(self.lines).rstrip("\r\n")
        self.line_num += 1
        return [_unquoted(cell) for cell in line.split("\t")] if line else []


def _unquoted(cell: str) -> str:
    inside = cell[1:-1]
    if len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in inside.replace('""', ""):
        return inside.replace('""', '"')
    return cell


def _decoded(path: Path) -> Iterator[str]:
    # Bytes that are no UTF-8 become lone surrogates, and are told of the row in which they turn up.
    return (line.decode("utf-8", "surrogateescape") for line in _file_lines(path))


def _delimited(path: Path, column: str | None, reader: Any) -> Table:
    try:
        header = next(reader)
    except StopIteration:
        header = None
    except csv.Error as error:
        raise DataError(f"{path}, header: {error}.") from error
    if not header or _not_utf8(header):
        raise DataError(f"{path} has no header line in UTF-8. Expected the names of its columns in line 1.")
    header[0] = header[0].removeprefix("\ufeff")
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{path} has the column {twice!r} twice. Rename one of them.")
    return Table(tuple(header), _delimited_rows(reader, path, header, _choose(tuple(header), column, path)))


def _delimited_rows(reader: Any, path: Path, header: list[str], column: str) -> Iterator[Row | BadRow]:
    number = 0
    while True:
        where = f"{path}, row {number + 1} (line {reader.line_num + 1})"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            yield BadRow(f"{where}: {error}. Check its quotes.")
            continue
        if not cells:
            continue
        number += 1
        if len(cells) != len(header):
            yield BadRow(f"{where}: {len(cells)} cells; expected {len(header)}, as in the header.")
        elif _not_utf8(cells):
            yield BadRow(f"{where}: not UTF-8. Save the file as UTF-8.")
        else:
            yield _row(number, dict(zip(header, cells, strict=True)), column, where)


def _not_utf8(cells: list[str]) -> bool:
    return any(not cell.isascii() and re.search("[\udc80-\udcff]", cell) for cell in cells)


def _parquet(path: Path, column: str | None) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("pyarrow", "parquet", f"Reading {path}") from None
    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is no Parquet file: {error}.") from error
    names = tuple(file.schema_arrow.names)
    return Table(names, _parquet_rows(file, path, _choose(names, column, path)))


def _parquet_rows(file: Any, path: Path, column: str) -> Iterator[Row | BadRow]:
    import pyarrow

    number = 0
    try:
        for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
            for value in batch.to_pylist():
                number += 1
                plain = {name: _plain(cell) for name, cell in value.items()}
                yield _row(number, plain, column, f"{path}, row {number}")
    except pyarrow.ArrowException as error:
        raise DataError(f"{path} is damaged after row {number}: {error}.") from error


def _plain(cell: Any) -> Any:
    """A cell as JSON can hold it."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    return cell if cell is None or isinstance(cell, str | int | float | bool | list | dict) else str(cell)


def _row(number: int, columns: dict[str, Any], column: str, where: str) -> Row | BadRow:
    text = columns.get(column)
    if isinstance(text, str):
        return Row(number, text, columns)
    found = "is missing" if column not in columns else f"is {json.dumps(text, default=str)[:40]}"
    return BadRow(f"{where}: {column!r} {found}. Expected a text.")


def _choose(names: tuple[str, ...], column: str | None, path: Path) -> str:
    """The column with the text: the one named, the only one, or the first with a usual name."""
    if column in names:
        return str(column)
    listed = ", ".join(map(repr, names[:20])) or "none"
    if column is not None:
        raise DataError(f"{path} has no column {column!r}. It has {listed}.")
    if len(names) == 1:
        return names[0]
    for usual in _USUAL:
        if usual in names:
            return usual
    raise InputError(
        f"{path} has several columns: {listed}. Say which one holds the text with --column NAME."
    )
