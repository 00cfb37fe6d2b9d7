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
        raise DataError(
            f"{table.name}: there is a column {taken[0]!r} already, where the teacher's scores were to go. Take it "
            "out, or have their columns begin otherwise with --prefix."
        )
    next(iter(table.blocks(*text)), None)  # a column that is not there is told before a file is begun
    counts = Counts()
    if isinstance(target, Path):
        with tables.to_file(target, table.columns, scores) as write:
            _work(teacher, table, text, wanted, write, counts, progress)
    else:
        write = tables.json_lines(target, table.columns, scores)
        _work(teacher, table, text, wanted, write, counts, progress)
    return scores, counts


def _work(
    teacher: Named,
    table: Table,
    text: Sequence[str],
    wanted: Wanted,
    write: tables.Write,
    counts: Counts,
    progress: Callable[[Counts], None],
) -> None:
    for texts, cells in _chunks(table, text, counts):
        said = teacher.labeller.ask(texts, store.digest(*texts))
        if teacher.task != "regression" and wanted.scores == "probabilities":
            said = teacher.probabilities(said)
        write(cells, said)
        counts.rows += len(texts)
        progress(counts)


def _chunks(table: Table, text: Sequence[str], counts: Counts) -> Iterator[tuple[list[str], list[list[Any]]]]:
    """Texts, and all cells of their rows column by column, a chunk at a time; rows without text are counted."""
    places = [table.columns.index(name) for name in text]
    texts: list[str] = []
    cells: list[list[Any]] = [[] for _ in table.columns]
    for block in table.blocks(*table.columns):
        for row, *own in zip(block.rows, *block.columns, strict=True):
            found, _ = reading.text_of([own[place] for place in places], text, block.source, row)
            if not found:
                counts.without_text += 1
                continue
            texts.append(found)
            for column, cell in zip(cells, own, strict=True):
                column.append(cell)
            if len(texts) == CHUNK:
                yield texts, cells
                texts, cells = [], [[] for _ in table.columns]
    if texts:
        yield texts, cells


def _only(source: str) -> Table:
    found = read.open_source(source).tables
    if len(found) > 1:
        raise DataError(
            f"{source} has several splits: {', '.join(found)}. Name one of them: a file, or of the hub {source}#NAME."
        )
    return next(iter(found.values()))
