"""Where labelled rows go: JSON lines, CSV or Parquet, into a file or a stream."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from stepdown import store
from stepdown.errors import DataError, InputError, missing_extra

Write = Callable[[Sequence[Mapping[str, Any]], np.ndarray], None]
"""Takes some rows: what the data have in each, by column, and scores, float32 [rows, columns of scores]."""

SUFFIXES = (".jsonl", ".csv", ".parquet")


@contextmanager
def to_file(path: Path, columns: Sequence[str], scores: Sequence[str]) -> Iterator[Write]:
    """A table in a file that appears whole at the end, or not at all; its kind is told by its suffix.

    Args:
        path: of the file.
        columns: of the data.
        scores: columns of the scores.

    Raises:
        InputError: its suffix is of no kind that is written.
        StoreError: the disk is full or read-only, or permission is missing.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: expected a file that ends in {', '.join(SUFFIXES)}.")
    store.sweep(path.absolute().parent)
    with store.write_file(path) as file:
        if suffix == ".parquet":
            with _parquet(file, path, columns, scores) as write:
                yield write
        elif suffix == ".csv":
            yield _csv(file, columns, scores)
        else:
            yield json_lines(file, scores)


def json_lines(stream: BinaryIO, scores: Sequence[str]) -> Write:
    """A table of one JSON object a line, with the row's own keys first, handed on with every call."""

    def write(rows: Sequence[Mapping[str, Any]], said: np.ndarray) -> None:
        lines = (
            json.dumps({**row, **dict(zip(scores, own, strict=True))}, ensure_ascii=False, default=str)
            for row, own in zip(rows, numbers(said), strict=True)
        )
        stream.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
        stream.flush()

    return write


def numbers(said: np.ndarray) -> list[list[float]]:
    """Scores, each with no more digits than a float32 has."""
    return [list(map(float, row)) for row in said.astype(np.float32).astype("U").tolist()]


def _csv(file: BinaryIO, columns: Sequence[str], scores: Sequence[str]) -> Write:
    def put(rows: Iterator[Sequence[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        file.write(text.getvalue().encode("utf-8", "replace"))

    put(iter([(*columns, *scores)]))

    def write(rows: Sequence[Mapping[str, Any]], said: np.ndarray) -> None:
        own = said.astype(np.float32).astype("U").tolist()
        put(
            (*(_cell(row.get(name)) for name in columns), *scored)
            for row, scored in zip(rows, own, strict=True)
        )

    return write


def _cell(value: Any) -> Any:
    return (
        json.dumps(value, ensure_ascii=False, default=str)
        if isinstance(value, list | dict | tuple)
        else value
    )


@contextmanager
def _parquet(file: BinaryIO, path: Path, columns: Sequence[str], scores: Sequence[str]) -> Iterator[Write]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise missing_extra("pyarrow", "parquet", "Writing Parquet files") from None
    schema: Any = None
    writer: Any = None

    def write(rows: Sequence[Mapping[str, Any]], said: np.ndarray) -> None:
        nonlocal schema, writer
        cells = [[row.get(name) for row in rows] for name in columns]
        if schema is None:
            schema = pa.schema(
                [
                    *(pa.field(name, _type(own, pa)) for name, own in zip(columns, cells, strict=True)),
                    *(pa.field(name, pa.float32()) for name in scores),
                ]
            )
            writer = pq.ParquetWriter(file, schema)
        arrays = []
        for name, own in zip(columns, cells, strict=True):
            try:
                arrays.append(pa.array(own, schema.field(name).type))
            except (pa.ArrowException, TypeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise DataError(
                    f"{path}: the column {name!r} holds values of several kinds, which Parquet does not take "
                    f"({reason}). Write a .jsonl file."
                ) from None
        arrays += [pa.array(said[:, at], pa.float32()) for at in range(len(scores))]
        writer.write_table(pa.Table.from_arrays(arrays, schema=schema))

    try:
        yield write
        if writer is None:
            write([], np.zeros((0, len(scores)), np.float32))
    finally:
        if writer is not None:
            writer.close()


def _type(cells: Sequence[Any], pa: Any) -> Any:
    """What a column holds, as its first rows tell; text where they are empty."""
    try:
        found = pa.array(list(cells)).type
    except (pa.ArrowException, TypeError, ValueError):
        return pa.string()
    return pa.string() if pa.types.is_null(found) else found
