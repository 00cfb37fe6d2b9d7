"""A report in GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple
from typing import Any

from stepdown.report.content import Content, content
from stepdown.report.figures import clean
from stepdown.results import Results, parse

LEFT = 3
"""The first columns hold names and are set to the left, the others to the right."""


def markdown(results: Mapping[str, Any] | Results) -> str:
    """The report as Markdown.

    Args:
        results: the dict of a `results.json`.

    Raises:
        InputError: the dict does not follow the schema.
    """
    return "\n".join(_lines(content(parse(results)))) + "\n"


def escape(text: str) -> str:
    """Text in which Markdown and HTML see nothing but text."""
    return re.sub(r"([\\`*_\[\]<>|~&$#!])", r"\\\1", clean(text))


def _lines(told: Content) -> Iterator[str]:
    yield f"# {escape(told.title)}"
    yield ""
    yield escape(told.headline)
    yield ""
    yield from table(astuple(told.headings), [astuple(line) for line in told.lines])
    yield ""
    yield f"{escape(told.caption)} {escape(told.legend)}"
    for heading, sentences in told.sections.items():
        yield from ("", f"## {heading}", "")
        yield from (f"- {escape(sentence)}" for sentence in sentences)
    yield from ("", "## Try it", "")
    if told.bundle and told.command:
        yield from (f"The bundle is in {_code(told.bundle)}.", "", *_fenced(told.command), "")
    yield escape(told.advice)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table of plain text."""
    yield _row(headings)
    yield _row([":--" if i < LEFT else "--:" for i in range(len(headings))])
    for row in rows:
        yield _row([escape(cell) for cell in row])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """A code span; its fence is longer than any run of backticks inside."""
    fence = "`" * (_longest_run(text) + 1)
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _fenced(text: str) -> tuple[str, str, str]:
    fence = "`" * max(_longest_run(text) + 1, 3)
    return f"{fence}sh", text, fence


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
