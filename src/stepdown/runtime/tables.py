"""Rows of text from a file, one by one, in constant memory."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepdown.errors import DataError, missing_extra
from stepdown.runtime.columns import Wanted, row
from stepdown.runtime.rows import LONGEST_LINE, BadRow, Row, Table, line

_PARQUET_ROWS = 4096
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def from_file(path: Path, wanted: Wanted) -> Table:
    """Rows of a .csv, .tsv, .jsonl, .txt or .parquet file; of a .txt every line is a text, or a pair (`rows.line`).

    Args:
        path: of the file.
        wanted: the columns with the text.

    Raises:
        DataError: there is no such file, of a kind that is read here, or it has no such column.
        InputError: the columns cannot be told, or it needs a library that is not installed.
    """
    readers: dict[str, Callable[[Path, Wanted], Table]] = {
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
    if not path.exists():
        raise DataError(f"There is no file {path}. Check the spelling and the folder.")
    if not path.is_file():
        what = (
            "a folder. Name a file in it" if path.is_dir() else "a pipe or a device. Send its lines to stdin"
        )
        raise DataError(f"{path} is {what}.")
    with _readable(path):
        return reader(path, wanted)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _lines(path: Path, wanted: Wanted) -> Table:
    if wanted.columns:
        what = "two texts with a tab between them" if wanted.is_pair else "a text"
        raise DataError(f"{path} has no columns: every line is {what}. Leave --column out.")
    lines = _Lines(path)
    rows = (line(content, number, str(path), wanted.is_pair) for number, content in enumerate(lines, 1))
    return Table((), rows, lines.share)


class _Lines:
    """The lines of a file, as bytes with their ends, and how much of it they were so far."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = path.stat().st_size
        self._read = 0

    def __iter__(self) -> Iterator[bytes]:
        with _readable(self._path), self._path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                if len(line) == LONGEST_LINE:
                    raise DataError(
                        f"{self._path} has a line of {LONGEST_LINE:,} bytes or more, so it is no table of texts."
                    )
                self._read += len(line)
                yield line

    def decoded(self) -> Iterator[str]:
        """The lines as text; bytes that are no UTF-8 become lone surrogates, and are told of the row that has them."""
        return (line.decode("utf-8", "surrogateescape") for line in self)

    def parted(self) -> Iterator[str]:
        """As `decoded`, parted at carriage returns alone, too, as old spreadsheets end lines."""
        for content in self.decoded():
            if "\r" in content[:-2]:
                yield from _LINE.findall(content)
            else:
                yield content

    def share(self) -> float:
        """How much of the file was read, 0 to 1; it may have grown since."""
        return min(1.0, self._read / max(1, self._size))


def _jsonl(path: Path, wanted: Wanted) -> Table:
    lines = _Lines(path)
    return Table(None, _jsonl_rows(lines, path, wanted), lines.share)


def _jsonl_rows(lines: _Lines, path: Path, wanted: Wanted) -> Iterator[Row | BadRow]:
    chosen = wanted.columns
    for number, content in enumerate(lines, 1):
        if not content.strip():
            continue
        where = f"{path}, row {number}"
        try:
            value = json.loads(content.decode("utf-8-sig"), parse_constant=_no_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            yield BadRow(f"{where}: no JSON: {error}. Expected one object a line.")
            continue
        if not isinstance(value, dict):
            yield BadRow(f"{where}: a {type(value).__name__}. Expected a JSON object.")
            continue
        # The first object tells which columns they are; the others must have them too.
        chosen = chosen or wanted.choose(tuple(value), path)
        yield row(number, value, chosen, where)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is beyond what a number can hold")
    return number


def _csv(path: Path, wanted: Wanted) -> Table:
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    first = next(_Lines(path).parted(), "")
    delimiter = max(",;\t", key=lambda mark: len(next(csv.reader([first], delimiter=mark), [])))
    lines = _Lines(path)
    return _delimited(lines, path, wanted, csv.reader(lines.parted(), delimiter=delimiter, strict=True))


def _tsv(path: Path, wanted: Wanted) -> Table:
    lines = _Lines(path)
    return _delimited(lines, path, wanted, _TabReader(lines.decoded()))


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


def _delimited(lines: _Lines, path: Path, wanted: Wanted, reader: Any) -> Table:
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
    chosen = wanted.choose(tuple(header), path)
    return Table(tuple(header), _delimited_rows(reader, path, header, chosen), lines.share)


def _delimited_rows(
    reader: Any, path: Path, header: list[str], chosen: tuple[str, ...]
) -> Iterator[Row | BadRow]:
    number = 0
    while True:
        first = reader.line_num + 1
        where = f"{path}, row {number + 1} (line {first})"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            number += 1
            # A quote that nothing closes takes all lines behind it.
            lines = f"line {first}" if reader.line_num <= first else f"lines {first} to {reader.line_num}"
            yield BadRow(f"{path}, row {number} ({lines}): {error}. Check its quotes.")
            continue
        if not cells:
            continue
        number += 1
        if len(cells) != len(header):
            yield BadRow(f"{where}: {len(cells)} cells; expected {len(header)}, as in the header.")
        elif _not_utf8(cells):
            yield BadRow(f"{where}: not UTF-8. Save the file as UTF-8.")
        else:
            yield row(number, dict(zip(header, cells, strict=True)), chosen, where)


def _not_utf8(cells: list[str]) -> bool:
    return any(not cell.isascii() and re.search("[\udc80-\udcff]", cell) for cell in cells)


def _parquet(path: Path, wanted: Wanted) -> Table:
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
    chosen = wanted.choose(names, path)
    number = 0

    def rows() -> Iterator[Row | BadRow]:
        nonlocal number
        try:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                for value in batch.to_pylist():
                    number += 1
                    plain = {name: _plain(cell) for name, cell in value.items()}
                    yield row(number, plain, chosen, f"{path}, row {number}")
        except pyarrow.ArrowException as error:
            raise DataError(f"{path} is damaged after row {number}: {error}.") from error

    return Table(names, rows(), lambda: number / max(1, file.metadata.num_rows))


def _plain(cell: Any) -> Any:
    """A cell as JSON can hold it."""
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    return cell if cell is None or isinstance(cell, str | int | float | bool | list | dict) else str(cell)
