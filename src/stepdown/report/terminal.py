"""A report as plain text, for a terminal of any width."""

from __future__ import annotations

import shutil
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any

from stepdown.report.content import Content, content
from stepdown.results import Results, parse

IDENTITY = 3
"""The first columns (rung, model, arm) say whose row it is and are repeated where a table is split."""

PROSE = 100
"""Sentences are wrapped at this even where the terminal is wider."""

MODEL = 1
MODEL_WIDTH = 20
"""Names are cut down to this, not further, if that keeps the table in one piece."""

GAP = "  "


def terminal(results: Mapping[str, Any] | Results, width: int | None = None) -> str:
    """The report as aligned text.

    Columns that do not fit beside each other go into further tables below; model names are cut in the middle.

    Args:
        results: the dict of a `results.json`.
        width: columns of the terminal, at least 40; None asks the terminal (100 where there is none).

    Raises:
        InputError: the dict does not follow the schema.
    """
    told = content(parse(results))
    width = max(width or shutil.get_terminal_size((100, 24)).columns, 40)
    return "\n".join(_lines(told, width)) + "\n"


def _lines(told: Content, width: int) -> Iterator[str]:
    yield from _wrapped(told.title, width)
    yield from _wrapped(told.headline, width)
    yield ""
    for table in _tables([astuple(line) for line in (told.headings, *told.lines)], width):
        yield from table
        yield ""
    yield from _wrapped(told.caption, width)
    yield from _wrapped(told.legend, width)
    for heading, sentences in told.sections.items():
        yield ""
        yield heading
        for sentence in sentences:
            yield from _wrapped(sentence, width, "  ")
    yield ""
    if told.bundle and told.command:
        # Not wrapped: both are there to be copied.
        yield f"Bundle: {told.bundle}"
        yield f"Try it: {told.command}"
    yield from _wrapped(told.advice, width)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    width = min(width, PROSE)
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent + ("  " if indent else "")
    )


def _tables(rows: Sequence[tuple[str, ...]], width: int) -> Iterator[list[str]]:
    """The rows, headings first, as one table or as several of no more than `width` columns."""
    columns = list(zip(*rows, strict=True))
    widths = [max(map(_width, column)) for column in columns]
    spare = width - _total(widths) + widths[MODEL]
    if MODEL_WIDTH <= spare < widths[MODEL]:
        widths[MODEL] = spare
    elif spare < MODEL_WIDTH and _total(widths[:IDENTITY]) > width // 2:
        widths[MODEL] = max(widths[MODEL] - _total(widths[:IDENTITY]) + width // 2, 8)
    for block in _blocks(widths, width):
        yield [GAP.join(_cell(row[i], i, widths[i]) for i in block).rstrip() for row in rows]


def _blocks(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """Indices of the columns of each table: the identity, then as many as fit."""
    block = list(range(IDENTITY))
    for i in range(IDENTITY, len(widths)):
        if len(block) > IDENTITY and _total([widths[j] for j in (*block, i)]) > width:
            yield block
            block = list(range(IDENTITY))
        block.append(i)
    yield block


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _cell(text: str, column: int, width: int) -> str:
    """Text in its column: names to the left, numbers to the right."""
    if _width(text) > width:
        text = _cut(text, width)
    pad = " " * (width - _width(text))
    return text + pad if column < IDENTITY else pad + text


def _cut(text: str, width: int) -> str:
    """The beginning and the end of a text too wide, with an ellipsis between them."""
    head, tail = "", ""
    for left, right in zip(text, reversed(text), strict=True):
        if _width(head + left + tail) + 1 > width:
            break
        head += left
        if _width(head + right + tail) + 1 > width:
            break
        tail = right + tail
    return f"{head}…{tail}"


def _width(text: str) -> int:
    """Columns that a terminal gives a text: two for wide characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
