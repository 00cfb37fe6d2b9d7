"""Reads a corpus, asks a teacher, and writes what it says: chunk by chunk, in memory that does not grow.

A chunk that was answered is kept in the cache, as the targets of a run are: started again, the work reads the corpus
from its beginning and finds there what was done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stepdown import store
from stepdown.classifiers import Named
from stepdown.data import choose, read
from stepdown.data import columns as reading
from stepdown.data.files import KEYS_FROM
from stepdown.data.table import Table, listing
from stepdown.errors import DataError
from stepdown.labelling import tables
from stepdown.recipe import Scores
from stepdown.transfer import CHUNK

PREFIX = "score_"
"""What the columns of scores begin with, before the label's name."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        text: the column of the text, or the two of a pair; empty to tell it by names and first rows.
        scores: what is written of labels.
        prefix: of the columns of scores.
    """

    text: tuple[str, ...] = ()
    scores: Scores = "probabilities"
    prefix: str = PREFIX


@dataclass
class Counts:
    """How far it is.

    Attributes:
        rows: written.
        without_text: left out.
    """

    rows: int = 0
    without_text: int = 0


def label(
    teacher: Named,
    source: str,
    target: Path | BinaryIO,
    wanted: Wanted,
    progress: Callable[[Counts], None] = lambda counts: None,
) -> tuple[tuple[str, ...], Counts]:
    """Write the rows of a source with what a teacher says of each: all columns that they have, and one for each label.

    JSON lines have what each row has. The columns of other files are fixed: there a row with others is an error.

    Args:
        teacher: is asked.
        source: as `data.read` has it; of one with several splits there must be said which.
        target: a file (.jsonl, .csv or .parquet) that appears when all is done; or a stream, which gets JSON lines.
        wanted: what to write.
        progress: called after each chunk.

    Returns:
        The columns of scores, and how many rows there are.

    Raises:
        DataError: the source cannot be read, its text column cannot be told, or it has columns of these names.
        InputError: a file that cannot be of its kind.
        HubError: a hub did not deliver.
        StoreError: the disk fails.
    """
    table = _only(source)
    text = wanted.text or choose.guess_text(table, pair=teacher.is_pair)
    if len(text) != 1 + teacher.is_pair:
        reads = "pairs of texts, from two columns" if teacher.is_pair else "single texts, from one column"
        raise DataError(f"{teacher.name} reads {reads}, and not {listing(text)}.")
    scores = tuple(f"{wanted.prefix}{name}" for name in teacher.label_names)
    taken = [name for name in scores if name in table.columns]
    if taken:
        raise DataError(f"{table.name}: {_taken(taken[0])}")
    next(iter(table.blocks(*text)), None)  # a column that is not there is told before a file is begun
    counts = Counts()
    if isinstance(target, Path):
        with tables.to_file(target, table.columns, scores) as write:
            fixed = "" if target.suffix.lower() == ".jsonl" else target.suffix
            _work(teacher, _chunks(table, text, scores, fixed, counts), wanted, write, counts, progress)
    else:
        write = tables.json_lines(target, scores)
        _work(teacher, _chunks(table, text, scores, "", counts), wanted, write, counts, progress)
    return scores, counts


def _work(
    teacher: Named,
    chunks: Iterator[tuple[list[str], list[dict[str, Any]]]],
    wanted: Wanted,
    write: tables.Write,
    counts: Counts,
    progress: Callable[[Counts], None],
) -> None:
    for texts, rows in chunks:
        said = teacher.labeller.ask(texts, store.digest(*texts))
        if teacher.task != "regression" and wanted.scores == "probabilities":
            said = teacher.probabilities(said)
        write(rows, said)
        counts.rows += len(texts)
        progress(counts)


def _chunks(
    table: Table, text: Sequence[str], scores: Sequence[str], fixed: str, counts: Counts
) -> Iterator[tuple[list[str], list[dict[str, Any]]]]:
    """Texts, and the rows that have them, a chunk at a time; rows without text are counted.

    Args:
        table: is read.
        text: its column of the text, or the two of a pair.
        scores: columns that are added.
        fixed: suffix of a file in which all rows have the columns of the table; "" where each has its own.
        counts: grow.

    Raises:
        DataError: a row cannot be read, or has what has no place in the file.
    """
    texts: list[str] = []
    rows: list[dict[str, Any]] = []
    for source, number, row in table.whole_rows():
        found, _ = reading.text_of([row.get(name) for name in text], text, source, number)
        if not found:
            counts.without_text += 1
            continue
        if fixed and (new := next((key for key in row if key not in table.columns), None)) is not None:
            raise DataError(
                f"{source}: row {number:,} has {new!r}, which none of the first {KEYS_FROM} rows has, and the columns "
                f"of a {fixed} file are fixed before. Name a .jsonl file: there each row keeps what it has."
            )
        if taken := next((name for name in scores if name in row), None):
            raise DataError(f"{source}: row {number:,}: {_taken(taken)}")
        texts.append(found)
        rows.append(row)
        if len(texts) == CHUNK:
            yield texts, rows
            texts, rows = [], []
    if texts:
        yield texts, rows


def _taken(name: str) -> str:
    return (
        f"there is a column {name!r} already, where the teacher's scores were to go. Take it out, or have their "
        "columns begin otherwise with --prefix."
    )


def _only(source: str) -> Table:
    found = read.open_source(source).tables
    if len(found) > 1:
        raise DataError(
            f"{source} has several splits: {', '.join(found)}. Name one of them: a file, or of the hub {source}#NAME."
        )
    return next(iter(found.values()))
