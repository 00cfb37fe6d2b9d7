"""Where answers go: JSON lines or a table, into a stream or a file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stepdown.errors import InputError, inert
from stepdown.runtime import atomic
from stepdown.runtime.rows import Row
from stepdown.tasks import TaskKind

Answer = dict[str, Any]
Sink = Callable[[list[Row], list[Answer]], None]

_KEYS: dict[TaskKind, tuple[str, ...]] = {
    "single-label": ("label", "score", "scores"),
    "multi-label": ("labels", "scores"),
    "regression": ("value",),
}
"""What an answer holds beside the text and its marks: columns of a table."""

TRUNCATED, ABSTAINED = "truncated", "abstained"
"""Marks: true where they are on an answer; else they are not on it."""

_written = json.JSONEncoder(ensure_ascii=False).encode
_BREAKS = re.compile(r"[\t\r\n]+")
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@contextmanager
def to_file(
    path: Path,
    columns: tuple[str, ...] | None,
    task: TaskKind,
    *,
    is_pair: bool,
    marks: tuple[str, ...] = (TRUNCATED,),
) -> Iterator[Sink]:
    """A sink into a file that appears whole at the end, or not at all; a table if it is a .csv or .tsv.

    Args:
        path: of the file; else than a table it gets JSON lines.
        columns: of the input; a table needs to know them before the first row.
        task: what is answered.
        is_pair: rows are pairs of texts.
        marks: that answers may have.

    Raises:
        InputError: a table is asked for, but the columns are not known.
        StoreError: the disk is full or read-only, or permission is missing.
    """
    delimiter = _DELIMITERS.get(path.suffix.lower())
    if delimiter and columns is None:
        raise InputError(
            f"{path}: a .jsonl input is answered as .jsonl, for its rows may differ in their columns."
        )
    with atomic.new_file(path) as file:

        def put(content: bytes) -> None:
            atomic.write(file, content, path)

        if delimiter is None:
            yield json_lines(put, marks)
        else:
            texts = ("text1", "text2") if is_pair else ("text",)
            yield table(put, Layout(columns or (), texts, _KEYS[task], marks, delimiter))


@contextmanager
def to_stream(stream: BinaryIO, marks: tuple[str, ...] = (TRUNCATED,)) -> Iterator[Sink]:
    """A sink of JSON lines that hands on every window at once; `marks` are those that answers may have."""

    def put(content: bytes) -> None:
        stream.write(content)
        stream.flush()

    yield json_lines(put, marks)


def json_lines(put: Callable[[bytes], None], marks: tuple[str, ...]) -> Sink:
    """A sink of one JSON object a line: the columns of the row, and the answer.

    Args:
        put: takes the bytes.
        marks: that answers may have: columns of those names are renamed in every row.
    """

    def sink(rows: list[Row], said: list[Answer]) -> None:
        answered = zip(rows, said, strict=True)
        put(b"".join(_json(_kept(row, {*answer, *marks}) | answer) for row, answer in answered))

    return sink


@dataclass(frozen=True)
class Layout:
    """Columns of a table of answers.

    Attributes:
        columns: of the rows, which are kept.
        texts: names of the columns for the text, or for the two of a pair, where rows have no columns.
        keys: of an answer, beside its text and its marks.
        marks: that answers may have.
        delimiter: between cells.
    """

    columns: tuple[str, ...]
    texts: tuple[str, ...]
    keys: tuple[str, ...]
    marks: tuple[str, ...]
    delimiter: str


def table(put: Callable[[bytes], None], layout: Layout) -> Sink:
    """A sink of delimited lines: the columns of the row, then those of the answer, and its marks.

    Labels are joined by `;` (one that holds a `;` itself is in quotes), scores are JSON.

    Args:
        put: takes the bytes.
        layout: which columns there are.
    """
    ours = (*layout.keys, *layout.marks)
    names = [_renamed(name, layout.columns, ours) for name in layout.columns] or layout.texts
    put(_delimited([[*names, *ours]], layout.delimiter))

    def sink(rows: list[Row], said: list[Answer]) -> None:
        cells: list[list[Any]] = []
        for row, answer in zip(rows, said, strict=True):
            texts = [row.text] if isinstance(row.text, str) else row.text
            held = [row.columns[name] for name in layout.columns] or texts
            own = [*(answer[key] for key in layout.keys), *(answer.get(mark) for mark in layout.marks)]
            cells.append([*held, *map(_cell, own)])
        put(_delimited(cells, layout.delimiter))

    return sink


def _cell(value: Any) -> Any:
    if isinstance(value, dict):
        return _written(value)
    if isinstance(value, list):
        return _delimited([value], ";").decode().rstrip("\n") if value else ""
    return "true" if value is True else value


def _kept(row: Row, ours: set[str]) -> Answer:
    """The columns of a row, those with a name of ours renamed; its text has its place in the answer."""
    kept = {_renamed(name, row.columns, ours - {"text"}): value for name, value in row.columns.items()}
    if "text" in kept and kept["text"] != row.text:
        kept[_free("text", row.columns)] = kept.pop("text")
    return kept


def _renamed(name: str, columns: Iterable[str], ours: Collection[str]) -> str:
    return _free(name, columns) if name in ours else name


def _free(name: str, columns: Iterable[str]) -> str:
    """The name, with `input_` before it as often as needed to differ from all columns."""
    while name in columns:
        name = f"input_{name}"
    return name


def _json(value: Answer) -> bytes:
    written = _written(value)
    try:
        return (written if written.isascii() else inert(written)).encode() + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can tell
        return (json.dumps(value) + "\n").encode()


def _of_tsv(cell: Any) -> str:
    """A cell as .tsv files hold it, where a row is a line and quotes are text (`tables`): tabs and line ends go."""
    text = "" if cell is None else _BREAKS.sub(" ", str(cell))
    is_quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return '"' + text.replace('"', '""') + '"' if is_quoted else text


def _delimited(cells: list[list[Any]], delimiter: str) -> bytes:
    if delimiter == "\t":
        return "".join("\t".join(map(_of_tsv, row)) + "\n" for row in cells).encode("utf-8", "replace")
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(cells)
    return text.getvalue().encode("utf-8", "replace")
