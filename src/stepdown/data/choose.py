"""Which columns hold the text and the label, where the recipe does not say.

Names come first: a column called `review` is a text, one called `category` a label. Where no name helps, the first
rows do, if they leave no doubt: the text is the column with by far the most words, the label the only column with few
different values. Everything else is refused, with what was found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepdown.data.table import Table, listing
from stepdown.errors import DataError

DOES = "this version does single-label classification of one text"

# Likeliest first.
_TEXT = (
    "text", "sentence", "content", "review", "comment", "utterance", "query", "question", "message", "tweet",
    "document", "body", "post", "snippet", "phrase", "review_text", "comment_text", "review_body", "input",
    "description", "headline", "title",
)  # fmt: skip
_LABEL = (
    "label", "labels", "category", "intent", "class", "target", "sentiment", "emotion", "topic", "polarity",
    "label_text", "stars", "rating",
)  # fmt: skip
_PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
)
# Of the first rows: words of a text on average, and times as many as any other column has.
_FEWEST_WORDS, _BY_FAR = 2.0, 2.0
# Of the first rows: rows of each different label on average.
_ROWS_PER_LABEL = 5


@dataclass(frozen=True)
class Columns:
    """The columns that are read, and whether each was named or guessed."""

    text: str
    label: str
    guessed: tuple[str, ...] = ()


def choose(table: Table, text: Sequence[str] = (), label: Sequence[str] = ()) -> Columns:
    """The text and the label column: those that are named, else those that names or first rows tell.

    Raises:
        DataError: several columns are named (pairs, several labels), or none can be told.
    """
    if len(text) > 1:
        raise DataError(f"text names {listing(text)}: a pair of texts, but {DOES}. Name one of them.")
    if len(label) > 1:
        raise DataError(f"label names {listing(label)}: several labels a text, but {DOES}.")
    if text and label:
        return Columns(text[0], label[0])
    if not text:
        _refuse_pairs(table)
    named_text = text[0] if text else _by_name(table, _TEXT, aside=label)
    named_label = label[0] if label else _by_name(table, _LABEL, aside=text)
    if named_text is None:
        named_text = _wordiest(table, aside=named_label)
    if named_label is None:
        named_label = _few_valued(table, aside=named_text)
    guessed = (*(() if text else (named_text,)), *(() if label else (named_label,)))
    return Columns(named_text, named_label, guessed)


def guess_text(table: Table) -> str:
    """The text column of a table whose labels, if it has any, do not matter.

    Raises:
        DataError: it is a table of pairs, or no column stands out.
    """
    _refuse_pairs(table)
    return _by_name(table, _TEXT, aside=()) or _wordiest(table, aside=None)


def _by_name(table: Table, names: Sequence[str], aside: Sequence[str]) -> str | None:
    plain = _plain(table)
    return next((plain[name] for name in names if name in plain and plain[name] not in aside), None)


def _plain(table: Table) -> dict[str, str]:
    """Columns by name in lower case with underscores; of several that are alike, the first."""
    plain: dict[str, str] = {}
    for column in table.columns:
        plain.setdefault(re.sub(r"[\s-]+", "_", column.strip().casefold()), column)
    return plain


def _refuse_pairs(table: Table) -> None:
    plain = _plain(table)
    for first, second in _PAIRS:
        if first in plain and second in plain:
            raise DataError(
                f"{table.name}: {plain[first]!r} and {plain[second]!r} are a pair of texts, but {DOES}. "
                f"Name one column as text if one of them is enough."
            )


def _wordiest(table: Table, aside: str | None) -> str:
    """The column with by far the most words, or the only one there is."""
    others = [column for column in table.columns if column != aside]
    if len(others) == 1:
        return others[0]
    words = {column: _mean_words(_first_cells(table, column)) for column in others}
    ranked = sorted(others, key=lambda column: -words[column])
    if ranked and words[ranked[0]] >= max(_FEWEST_WORDS, _BY_FAR * words[ranked[1]]):
        return ranked[0]
    raise DataError(
        f"{table.name}: cannot tell which column holds the text. {_columns(table)} Name it with text = …"
    )


def _few_valued(table: Table, aside: str) -> str:
    """The only column whose cells repeat themselves as labels do."""
    others = [column for column in table.columns if column != aside]
    few = [column for column in others if _repeats(_first_cells(table, column))]
    if len(few) == 1:
        return few[0]
    raise DataError(
        f"{table.name}: cannot tell which column holds the label. {_columns(table)} Name it with label = …"
    )


def _first_cells(table: Table, column: str) -> list[Any]:
    """The first rows' cells; none where two columns have the name."""
    if table.columns.count(column) > 1:
        return []
    block = next(table.blocks(column), None)
    return [] if block is None else block.columns[0]


def _mean_words(cells: list[Any]) -> float:
    texts = [cell for cell in cells if isinstance(cell, str)]
    return sum(len(text.split()) for text in texts) / max(len(cells), 1)


def _repeats(cells: list[Any]) -> bool:
    said = [str(cell) for cell in cells if cell is not None and str(cell).strip()]
    different = len(set(said))
    return different >= 2 and len(said) >= different * _ROWS_PER_LABEL


def _columns(table: Table) -> str:
    """What there is, with a hint where the "header" reads like a row."""
    like_a_row = any(len(column.split()) > 4 or re.fullmatch(r"-?\d+", column) for column in table.columns)
    hint = " If that is a row, the file has no header: put one above it." if like_a_row else ""
    return f"Its columns are: {listing(table.columns)}.{hint}"
