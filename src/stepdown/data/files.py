"""Reads one file: comma or tab separated values, JSON lines, plain lines, Parquet.

Everything streams: a file of any size is read a block at a time. Left out: compressed text files and JSON arrays,
which cannot be cut into rows without reading them whole; their messages say what to do instead.
"""

from __future__ import annotations

import csv
import difflib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from stepdown.data.table import BLOCK, Block, Numbered, Reader, Table
from stepdown.errors import DataError, missing_extra

JSON_LINES = (".jsonl", ".ndjson", ".jsonlines", ".json-lines", ".json")
SUFFIXES = (".csv", ".tsv", *JSON_LINES, ".parquet", ".txt")

KEYS_FROM = 100
"""The first rows of JSON lines whose keys are taken for the columns."""

_MARKS = {",": "commas", ";": "semicolons", "\t": "tabs"}

Row = tuple[int, list[Any]]


def open_file(path: Path) -> Table:
    """One file as a table; the kind is told by its suffix.

    Raises:
        DataError: it is missing, empty, not UTF-8, or of an unknown kind.
    """
    suffix = path.suffix.lower()
    with _readable(path):
        if suffix not in SUFFIXES:
            raise DataError(f"{path}: {_unknown(path, suffix)}")
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty. Expected rows with a text and a label each.")
        if suffix == ".parquet":
            return _parquet(path)
        if suffix == ".txt":
            return Table(str(path), ("text",), _reader(path, ("text",), lambda: _lines(path)))
        if suffix in JSON_LINES:
            return _json_lines(path)
        return _separated(path, "\t" if suffix == ".tsv" else _delimiter(path))


def _unknown(path: Path, suffix: str) -> str:
    known = "expected .csv, .tsv, .jsonl, .parquet or .txt"
    if suffix in (".gz", ".zip", ".bz2", ".xz", ".zst"):
        return f"compressed files are not read; {known}. Unpack it first."
    if suffix in (".xlsx", ".xls", ".ods"):
        return f"spreadsheets are not read; {known}. Save it as CSV (UTF-8)."
    return f"cannot tell the kind of file from {suffix!r}; {known}." if suffix else f"no suffix; {known}."


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Says in one line why a file cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: no such file.{_neighbours(path)}") from None
    except PermissionError:
        raise DataError(f"{path}: no permission to read it.") from None
    except UnicodeDecodeError:
        raise DataError(_not_utf8(path)) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from None


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f" There is no folder {path.parent} either."
    names = sorted(item.name for item in path.parent.iterdir() if item.suffix.lower() in SUFFIXES)
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else ""


def _not_utf8(path: Path) -> str:
    """Where a file stops being UTF-8: a decoder of a stream does not know, so it is looked for again."""
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return f"{path}: this is UTF-16, expected UTF-8. Save it again with the encoding UTF-8."
        file.seek(0)
        before = 0
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return (
                    f"{path}: not UTF-8: line {number:,} holds the byte 0x{line[error.start]:02x} "
                    f"(byte {before + error.start + 1:,} of the file). Save it with the encoding UTF-8; "
                    f"if it is Latin-1: iconv -f latin1 -t utf-8 {path.name} > utf8{path.suffix}"
                )
            before += len(line)
    return f"{path}: not UTF-8. Save it again with the encoding UTF-8."


def _open(path: Path, newline: str | None = None) -> TextIO:
    return path.open(encoding="utf-8-sig", newline=newline)


def _reader(path: Path, columns: tuple[str, ...], rows: Callable[[], Iterator[Row]]) -> Reader:
    """Turns a function that yields (number, cells) of all columns into one that yields blocks of some columns."""

    def read(wanted: tuple[str, ...]) -> Iterator[Block]:
        places = [columns.index(name) for name in wanted]
        with _readable(path):
            numbered = rows()
            while some := list(islice(numbered, BLOCK)):
                cells = tuple([row[place] for _, row in some] for place in places)
                yield Block(str(path), [number for number, _ in some], cells)

    return read


# --- separated values ---------------------------------------------------------------------------------------------


def _delimiter(path: Path) -> str:
    """What parts the header of a .csv: whichever of comma, semicolon and tab makes most columns."""
    with _open(path, newline="") as file:
        header = next((line for line in file if line.strip()), "")
    return max(_MARKS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _separated(path: Path, delimiter: str) -> Table:
    header = next(_records(path, delimiter), None)
    if header is None:
        raise DataError(f"{path}: the file holds blank lines only. Expected a header and rows.")
    columns = tuple(cell.strip() for cell in header[1])

    def rows() -> Iterator[Row]:
        for number, cells in islice(_records(path, delimiter), 1, None):
            if len(cells) != len(columns):
                raise DataError(_ragged(path, number, cells, columns, delimiter))
            yield number, cells

    expected = "\t" if path.suffix.lower() == ".tsv" else ","
    notes = () if delimiter == expected else (f"{path}: its cells are parted by {_MARKS[delimiter]}.",)
    return Table(str(path), columns, _reader(path, columns, rows), notes=notes)


def _records(path: Path, delimiter: str) -> Iterator[Row]:
    """All records that are not blank, header included, each with its number."""
    if path.suffix.lower() == ".tsv":
        with _open(path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, [_unquoted(cell) for cell in line.rstrip("\n").split("\t")]
        return
    csv.field_size_limit(1 << 30)  # the default refuses texts above 131,072 characters
    with _open(path, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, strict=True)
        number = 0
        while True:
            number += 1
            began = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise DataError(_malformed(path, number, began, error)) from None
            if cells is None:
                return
            if len(cells) > 1 or (cells and cells[0].strip()):
                yield number, cells


def _unquoted(cell: str) -> str:
    """A cell of a .tsv: quotes are text, unless they enclose the whole cell as spreadsheets and pandas write them."""
    if len(cell) >= 2 and cell[0] == cell[-1] == '"':
        inside = cell[1:-1]
        if '"' not in inside.replace('""', ""):
            return inside.replace('""', '"')
    return cell


def _malformed(path: Path, number: int, line: int, error: csv.Error) -> str:
    if "unexpected end" in str(error):
        why = 'a quote (") opens here and is never closed'
    elif "expected after" in str(error):
        why = 'a quoted text ends before its cell does; quotes within it must be doubled ("")'
    else:
        why = str(error)
    return f"{path}: row {number:,} (line {line:,}): {why}."


def _ragged(path: Path, number: int, cells: list[Any], columns: tuple[str, ...], delimiter: str) -> str:
    found = f"{len(cells)} cell{'s' if len(cells) != 1 else ''}, the header has {len(columns)}"
    if path.suffix.lower() == ".tsv":
        help = "A text may hold no tab and no line break here: save such texts as .csv, .jsonl or .parquet."
    else:
        help = f'Texts that hold {_MARKS[delimiter]} or line breaks must be enclosed in quotes (").'
    return f"{path}: row {number:,} has {found}. {help}"


# --- lines --------------------------------------------------------------------------------------------------------


def _lines(path: Path) -> Iterator[Row]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, [line.rstrip("\n")]


def _json_lines(path: Path) -> Table:
    columns = tuple(dict.fromkeys(key for _, row in islice(_objects(path), KEYS_FROM) for key in row))
    if not columns:
        raise DataError(f"{path}: the file holds no JSON objects with keys. Expected one on each line.")

    def read(wanted: tuple[str, ...]) -> Iterator[Block]:
        with _readable(path):
            objects = _objects(path)
            while some := list(islice(objects, BLOCK)):
                cells = tuple([row.get(name) for _, row in some] for name in wanted)
                yield Block(str(path), [number for number, _ in some], cells)

    def objects() -> Iterator[Numbered]:
        with _readable(path):
            for number, row in _objects(path):
                yield str(path), number, row

    return Table(str(path), columns, read, objects=objects)


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                if number == 1 and line.lstrip().startswith("["):
                    raise DataError(_array(path)) from None
                reason = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
                raise DataError(f"{path}: row {number:,} is not JSON ({reason}): {_start(line)}") from None
            if isinstance(row, list) and number == 1:
                raise DataError(_array(path))
            if not isinstance(row, dict):
                raise DataError(f"{path}: row {number:,} is no JSON object: {_start(line)}")
            yield number, row


def _array(path: Path) -> str:
    return (
        f"{path}: this is one JSON array, expected one JSON object on each line. "
        f"Convert it with: jq -c '.[]' {path.name} > {path.stem}.jsonl"
    )


def _start(line: str) -> str:
    return repr(line.strip()[:60])


# --- Parquet ------------------------------------------------------------------------------------------------------


def _parquet(path: Path) -> Table:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("pyarrow", "parquet", "Reading Parquet files") from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
    except pyarrow.ArrowException as error:
        raise DataError(f"{path}: not a Parquet file, or a damaged one: {_first_line(error)}") from None

    def read(wanted: tuple[str, ...]) -> Iterator[Block]:
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                first = 1
                # One column after the other in the order asked; iter_batches keeps the file's order.
                for batch in file.iter_batches(BLOCK, columns=list(wanted)):
                    cells = tuple(batch.column(name).to_pylist() for name in wanted)
                    yield Block(str(path), range(first, first + len(batch)), cells)
                    first += len(batch)
        except (pyarrow.ArrowException, OSError) as error:
            raise DataError(f"{path}: a damaged Parquet file: {_first_line(error)}") from None

    return Table(str(path), tuple(schema.names), read, _class_labels(schema.metadata or {}))


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0]


def _class_labels(metadata: dict[bytes, bytes]) -> dict[str, tuple[str, ...]]:
    """Names of class labels that the library `datasets` leaves in a Parquet file's schema."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: names for name, feature in features.items() if (names := _names(feature))}
    except (KeyError, TypeError, ValueError):
        return {}


def _names(feature: Any) -> tuple[str, ...]:
    """Names of a feature of class labels, or of lists of such (older versions write the latter as a list)."""
    if isinstance(feature, list) and feature:
        return _names(feature[0])
    if not isinstance(feature, dict):
        return ()
    member = feature.get("feature", feature)
    is_label = isinstance(member, dict) and member.get("_type") == "ClassLabel"
    return tuple(member.get("names") or ()) if is_label else ()
