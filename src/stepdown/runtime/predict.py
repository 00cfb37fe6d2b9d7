"""Answers rows with labels and scores, window by window, as JSON lines or as a table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stepdown.errors import InputError
from stepdown.runtime import atomic
from stepdown.runtime.classifier import Classifier
from stepdown.runtime.rows import BadRow, Row, Table, from_file, from_stream, from_texts

# Rows answered at a time: enough to fill batches of one length, few enough for any memory.
_WINDOW = 4096
# Our keys; a column of the user's that has the name of one is kept under `input_` and its name.
_OURS = frozenset({"label", "score", "scores", "truncated"})
_DELIMITERS = {".csv": ",", ".tsv": "\t"}

Answer = dict[str, Any]
Sink = Callable[[list[Row], list[Answer]], None]


@dataclass
class Counts:
    """What a stream came to."""

    rows: int = 0
    skipped: int = 0


def answers(classifier: Classifier, texts: list[str], top: int) -> list[Answer]:
    """What is said of each text, as `stepdown predict` and `stepdown serve` tell it.

    Args:
        classifier: asked.
        texts: n of them.
        top: how many labels to score, best first; 0 for all.

    Returns:
        n objects: `text`, `label`, `score` (the label's probability), `scores` (label to probability, best
        first), and `truncated`, true, where a text was cut.
    """
    logits, truncated = classifier.read(texts)
    probabilities = classifier.probabilities(logits)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, : top or None]
    scores = np.take_along_axis(probabilities, best, 1).astype(np.float64).round(6)
    names = classifier.label_names
    found: list[Answer] = []
    for text, cut, which, values in zip(texts, truncated, best.tolist(), scores.tolist(), strict=True):
        answer = {
            "text": text,
            "label": names[which[0]],
            "score": values[0],
            "scores": {names[index]: value for index, value in zip(which, values, strict=True)},
        }
        if cut:
            answer["truncated"] = True
        found.append(answer)
    return found


@dataclass(frozen=True)
class Work:
    """What `stepdown predict` was asked for.

    Attributes:
        texts: from the command line; where there are none, the input is read.
        input: a file of texts; None for the standard input, a text a line.
        column: of the input, with the text.
        output: a file; None for JSON lines on the standard output.
        top: how many labels to score, best first; 0 for all.
    """

    texts: tuple[str, ...] = ()
    input: Path | None = None
    column: str | None = None
    output: Path | None = None
    top: int = 5


def run(
    classifier: Classifier,
    work: Work,
    stdin: BinaryIO,
    stdout: BinaryIO,
    *,
    on_bad: Callable[[BadRow], None] | None = None,
    on_progress: Callable[[Counts], None] | None = None,
) -> Counts:
    """Read what `work` names, answer it, write the answers; memory stays the same however long the input.

    Args:
        classifier: asked.
        work: what to do.
        stdin: read where no texts and no input are named.
        stdout: written where no output is named.
        on_bad: told of each row that cannot be read, which is then left out; None raises the first.
        on_progress: told after each window of rows.

    Raises:
        InputError: an input or (BadRow) one of its rows that cannot be read, or an output that does not fit.
        StoreError: the output cannot be written.
    """
    columns: tuple[str, ...] | None = ()
    if work.texts or work.input:
        source = from_file(work.input, work.column) if work.input else from_texts(work.texts)
        columns, given = source.columns, windows(source)
    else:
        given = from_stream(stdin)
    with nullcontext(to_stream(stdout)) if work.output is None else to_file(work.output, columns) as sink:
        return answer_all(classifier, given, sink, top=work.top, on_bad=on_bad, on_progress=on_progress)


def windows(table: Table) -> Iterator[list[Row | BadRow]]:
    """The rows of a table in lists of bounded length."""
    while window := list(islice(table.rows, _WINDOW)):
        yield window


def answer_all(
    classifier: Classifier,
    source: Iterable[list[Row | BadRow]],
    sink: Sink,
    *,
    top: int = 5,
    on_bad: Callable[[BadRow], None] | None = None,
    on_progress: Callable[[Counts], None] | None = None,
) -> Counts:
    """Answer every row of a source.

    Args:
        classifier: asked.
        source: windows of rows; each is answered before the next is asked for.
        sink: takes the rows of a window and their answers.
        top: how many labels to score; 0 for all.
        on_bad: told of each row that cannot be read, which is then left out; None raises the first.
        on_progress: told after each window.

    Raises:
        BadRow: the first row that cannot be read, after the rows before it were answered.
    """
    counts = Counts()
    for window in source:
        rows: list[Row] = []
        bad = None
        for row in window:
            if isinstance(row, Row):
                rows.append(row)
            elif on_bad is None:
                bad = row
                break
            else:
                counts.skipped += 1
                on_bad(row)
        if rows:
            sink(rows, answers(classifier, [row.text for row in rows], top))
        if bad is not None:
            raise bad
        counts.rows += len(rows)
        if on_progress:
            on_progress(counts)
    return counts


@contextmanager
def to_file(path: Path, columns: tuple[str, ...] | None) -> Iterator[Sink]:
    """A sink into a file that appears whole at the end, or not at all; a table if it is a .csv or .tsv.

    Args:
        path: of the file; else than a table it gets JSON lines.
        columns: of the input; a table needs to know them before the first row.

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

        yield table(put, columns or (), delimiter) if delimiter else json_lines(put)


def to_stream(stream: BinaryIO) -> Sink:
    """A sink of JSON lines that hands on every window at once."""

    def put(content: bytes) -> None:
        stream.write(content)
        stream.flush()

    return json_lines(put)


def json_lines(put: Callable[[bytes], None]) -> Sink:
    """A sink of one JSON object a line: the columns of the row, and the answer; `put` takes the bytes."""

    def sink(rows: list[Row], said: list[Answer]) -> None:
        put(b"".join(_json(_kept(row) | answer) for row, answer in zip(rows, said, strict=True)))

    return sink


def table(put: Callable[[bytes], None], columns: tuple[str, ...], delimiter: str) -> Sink:
    """A sink of delimited lines: the columns of the row, then label, score, scores (as JSON) and truncated.

    Args:
        put: takes the bytes.
        columns: of the rows; where there are none, the text is the first column.
        delimiter: between cells.
    """
    names = [_renamed(name, columns) for name in columns] or ["text"]
    put(_delimited([[*names, "label", "score", "scores", "truncated"]], delimiter))

    def sink(rows: list[Row], said: list[Answer]) -> None:
        cells: list[list[Any]] = []
        for row, answer in zip(rows, said, strict=True):
            held = [row.columns[name] for name in columns] or [row.text]
            scores = json.dumps(answer["scores"], ensure_ascii=False)
            cut = "true" if answer.get("truncated") else ""
            cells.append([*held, answer["label"], answer["score"], scores, cut])
        put(_delimited(cells, delimiter))

    return sink


def _kept(row: Row) -> Answer:
    """The columns of a row, those with a name of ours renamed; its text has its place in the answer."""
    kept = {_renamed(name, row.columns): value for name, value in row.columns.items()}
    if "text" in kept and kept["text"] != row.text:
        kept[_free("text", row.columns)] = kept.pop("text")
    return kept


def _renamed(name: str, columns: Iterable[str]) -> str:
    return _free(name, columns) if name in _OURS else name


def _free(name: str, columns: Iterable[str]) -> str:
    """The name, with `input_` before it as often as needed to differ from all columns."""
    while name in columns:
        name = f"input_{name}"
    return name


def _json(value: Answer) -> bytes:
    try:
        return (json.dumps(value, ensure_ascii=False) + "\n").encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which only an escape can tell
        return (json.dumps(value) + "\n").encode()


def _delimited(cells: list[list[Any]], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(cells)
    return text.getvalue().encode("utf-8", "replace")
