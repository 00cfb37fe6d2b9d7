"""Which columns hold the text and the label, where the recipe does not say.

Names come first: a column called `review` is a text, one called `category` a label, `sentence1` and `sentence2` are a
pair of texts, as are any two columns of words whose names differ in a last 1 and 2, or a and b. Where no name helps,
the first rows do, if they leave no doubt: the text is the column with by far the most words, the label the only column
with few different values, or of several that are called some label (`coarse_label`, `fine_label`) the one with the
fewest, or the labels are several columns of 0 and 1. Everything else is refused, with what was found.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stepdown.data.table import Table, listing
from stepdown.errors import DataError

# What a label column says, in lower case, where several of them are labels: whether its own applies.
SWITCHES = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}

# Likeliest first.
_TEXT = (
    "text", "sentence", "content", "review", "comment", "utterance", "query", "question", "message", "tweet",
    "document", "body", "post", "snippet", "phrase", "review_text", "comment_text", "review_body", "input",
    "description", "headline", "title",
)  # fmt: skip
_LABEL = (
    "label", "labels", "category", "intent", "class", "target", "sentiment", "emotion", "topic", "polarity",
    "label_text", "stars", "rating", "categories", "emotions", "topics", "tags", "genres", "score", "similarity",
    "similarity_score",
)  # fmt: skip
_PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
    ("question", "sentence"),
)
# How the names of two columns end that are alike but for that.
_TWINS = (("1", "2"), ("a", "b"))
# Of the first rows: words of a text on average, and times as many as any other column has.
_FEWEST_WORDS, _BY_FAR = 2.0, 2.0
# Of the first rows: rows of each different label on average.
_ROWS_PER_LABEL = 5
# Columns of 0 and 1 that are labels: two of them may well be something else.
_FEWEST_SWITCHES = 3
# What parts the labels of one cell, where nobody says so. A comma parts half-sentences, too.
_SEPARATORS = ("|", ";")
_SHARE_JOINED = 0.05  # of the first rows hold several labels, at least


@dataclass(frozen=True)
class Columns:
    """The columns that are read.

    Attributes:
        text: one, or two that make a pair.
        label: one, or several of 0 and 1, each a label that applies or not.
        separator: what parts the labels of one cell; None where a cell holds one.
        guessed: those that were not named.
    """

    text: tuple[str, ...]
    label: tuple[str, ...]
    separator: str | None = None
    guessed: tuple[str, ...] = ()


def choose(
    table: Table,
    text: Sequence[str] = (),
    label: Sequence[str] = (),
    separator: str | None = None,
    aside: Sequence[str] = (),
    *,
    may_lack_labels: bool = False,
) -> Columns:
    """The text and the label columns: those that are named, else those that names or first rows tell.

    Args:
        table: that has them.
        text, label: columns, where they are named.
        separator: what parts the labels of one cell.
        aside: columns that are neither.
        may_lack_labels: no label column is told where none reads like one.

    Raises:
        DataError: more than two columns are named as text, or none can be told.
    """
    if len(text) > 2:
        raise DataError(f"text names {listing(text)}: expected one column, or two that make a pair of texts.")
    others = (*label, *aside)
    texts = tuple(text) or _pair(table, aside=others) or _by_name(table, _TEXT, aside=others)
    labels = tuple(label) or _by_name(table, _LABEL, aside=(*texts, *aside))
    texts = texts or _wordiest(table, aside=(*labels, *aside))
    labels = labels or _few_valued(table, aside=(*texts, *aside), may_lack=may_lack_labels)
    return Columns(texts, labels, separator, (*(() if text else texts), *(() if label else labels)))


def guess_text(table: Table, *, pair: bool = False) -> tuple[str, ...]:
    """The text column, or the two of a pair, of a table whose labels, if it has any, do not matter.

    Raises:
        DataError: it is a table of pairs where single texts are asked for, or no columns stand out.
    """
    found = _pair(table, aside=())
    if pair:
        if found:
            return found
        raise DataError(
            f"{table.name}: cannot tell which two columns hold the pairs of texts. {_columns(table)} "
            'Name them with text = ["…", "…"]'
        )
    if found:
        raise DataError(
            f"{table.name}: {found[0]!r} and {found[1]!r} are a pair of texts, expected single texts. "
            f"Name one column as text if one of them is enough."
        )
    return _by_name(table, _TEXT, aside=()) or _wordiest(table, aside=())


def choose_texts(table: Table) -> tuple[str, ...]:
    """The text column, or the two of a pair, whichever a table without labels has.

    Raises:
        DataError: no column stands out.
    """
    return _pair(table, aside=()) or _by_name(table, _TEXT, aside=()) or _wordiest(table, aside=())


def guess_separator(table: Table, column: str) -> str | None:
    """What parts the labels of a column's cells, if it is unmistakable; None where a cell holds one label.

    It is where every label of a cell with several stands in other cells too, with other labels or alone, and on
    average in as many rows as a label does.
    """
    said = [cell.strip() for cell in _first_cells(table, column) if isinstance(cell, str) and cell.strip()]
    for separator in _SEPARATORS:
        several = [cell for cell in said if separator in cell]
        cells_with = Counter(part for cell in set(said) for part in _parts_of(cell, separator))
        parts = {part for cell in several for part in _parts_of(cell, separator)}
        if (
            len(several) >= max(1, _SHARE_JOINED * len(said))
            and "" not in parts
            and all(cells_with[part] >= 2 for part in parts)
            and len(said) >= _ROWS_PER_LABEL * len(cells_with)
        ):
            return separator
    return None


def _parts_of(cell: str, separator: str) -> set[str]:
    return {part.strip() for part in cell.split(separator)}


def _pair(table: Table, aside: Sequence[str]) -> tuple[str, ...]:
    """Two columns whose names say that they are a pair of texts; nothing where there are none."""
    plain = _plain(table)
    for names in _PAIRS:
        found = tuple(plain[name] for name in names if name in plain)
        if len(found) == 2 and not set(found) & set(aside):
            return found
    for name, column in plain.items():
        for first, second in _TWINS:
            twin = plain.get(name.removesuffix(first) + second) if name.endswith(first) else None
            if twin is not None and not {column, twin} & set(aside) and _hold_words(table, column, twin):
                return (column, twin)
    return ()


def _hold_words(table: Table, *columns: str) -> bool:
    return all(_mean_words(_first_cells(table, column)) >= _FEWEST_WORDS for column in columns)


def _by_name(table: Table, names: Sequence[str], aside: Sequence[str]) -> tuple[str, ...]:
    plain = _plain(table)
    return tuple(plain[name] for name in names if name in plain and plain[name] not in aside)[:1]


def _plain(table: Table) -> dict[str, str]:
    """Columns by name in lower case with underscores; of several that are alike, the first."""
    plain: dict[str, str] = {}
    for column in table.columns:
        plain.setdefault(_plain_name(column), column)
    return plain


def _plain_name(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().casefold())


def _wordiest(table: Table, aside: Sequence[str]) -> tuple[str, ...]:
    """The column with by far the most words, or the only one there is."""
    others = [column for column in table.columns if column not in aside]
    if len(others) == 1:
        return (others[0],)
    words = {column: _mean_words(_first_cells(table, column)) for column in others}
    ranked = sorted(others, key=lambda column: -words[column])
    if ranked and words[ranked[0]] >= max(_FEWEST_WORDS, _BY_FAR * words[ranked[1]]):
        return (ranked[0],)
    raise DataError(
        f"{table.name}: cannot tell which column holds the text. {_columns(table)} Name it with text = …"
    )


def _few_valued(table: Table, aside: Sequence[str], *, may_lack: bool = False) -> tuple[str, ...]:
    """The column whose cells repeat themselves as labels do, or several that are all 0 and 1.

    Where nothing of the kind is there it is an error, or nothing if the table may lack labels.
    """
    cells = {column: _first_cells(table, column) for column in table.columns if column not in aside}
    few = [column for column, own in cells.items() if _repeats(own)]
    if len(few) == 1:
        return (few[0],)
    switches = tuple(column for column, own in cells.items() if _switches(own))
    if len(switches) >= _FEWEST_SWITCHES and set(few) <= set(switches):
        return switches
    called = [column for column in few if set(_plain_name(column).split("_")) & set(_LABEL)]
    if called:
        return (min(called, key=lambda column: len({str(cell) for cell in cells[column]})),)
    if may_lack and not few and not switches:
        return ()
    raise DataError(
        f"{table.name}: cannot tell which column holds the label. {_columns(table)} Name it with label = …, or say "
        "label = [] where there is none."
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


def _switches(cells: list[Any]) -> bool:
    said = {str(cell).strip().casefold() for cell in cells if cell is not None}
    return bool(said) and said <= set(SWITCHES)


def _columns(table: Table) -> str:
    """What there is, with a hint where the "header" reads like a row."""
    like_a_row = any(len(column.split()) > 4 or re.fullmatch(r"-?\d+", column) for column in table.columns)
    hint = " If that is a row, the file has no header: put one above it." if like_a_row else ""
    return f"Its columns are: {listing(table.columns)}.{hint}"
