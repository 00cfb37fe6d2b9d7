"""Which columns of a file hold the text, or the two texts of a pair, and the row that they make."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepdown.errors import DataError, InputError
from stepdown.runtime.rows import BadRow, Row

# Columns that hold the text, or a pair of texts, where the user names none.
_USUAL = ("text", "sentence", "content", "review", "body", "comment", "message")
_USUAL_PAIRS = (
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("premise", "hypothesis"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("text_a", "text_b"),
)


@dataclass(frozen=True)
class Wanted:
    """What is looked for in a file.

    Attributes:
        columns: as the user names them: the one with the text, or the two of a pair; empty where they are the only
            ones or have usual names.
        is_pair: pairs of texts are looked for.
    """

    columns: tuple[str, ...] = ()
    is_pair: bool = False

    def check(self) -> None:
        """Raises InputError where the columns named are not as many as the texts that the model reads at a time."""
        count = len(self.columns)
        if self.is_pair and count == 1:
            raise InputError(
                f"One column was named, {self.columns[0]!r}, but the model reads pairs of texts. Name the columns of "
                "both: --column FIRST --column SECOND."
            )
        if not self.is_pair and count > 1:
            raise InputError(
                f"{count} columns were named, but the model reads single texts, not pairs. Name one with --column."
            )
        if count > 2 or len(set(self.columns)) < count:
            raise InputError(
                f"--column named {', '.join(map(repr, self.columns))}. A pair of texts is in two different columns."
            )

    def choose(self, names: tuple[str, ...], path: Path) -> tuple[str, ...]:
        """The columns with the text or texts: those named, the only ones, or the first with usual names.

        Args:
            names: of the file's columns.
            path: of the file.

        Raises:
            DataError: a named one is not there.
            InputError: none is named, and it cannot be told.
        """
        listed = ", ".join(map(repr, names[:20])) or "none"
        for column in self.columns:
            if column not in names:
                raise DataError(f"{path} has no column {column!r}. It has {listed}.")
        if self.columns:
            return self.columns
        size = 2 if self.is_pair else 1
        if len(names) == size:
            return names
        for usual in _USUAL_PAIRS if self.is_pair else [(name,) for name in _USUAL]:
            if set(usual) <= set(names):
                return usual
        if len(names) < size:
            raise DataError(
                f"{path} has only {listed} for columns, but the model reads pairs of texts, of two columns."
            )
        what = (
            "ones hold the two texts with --column FIRST --column SECOND"
            if self.is_pair
            else ("one holds the text with --column NAME")
        )
        raise InputError(f"{path} has several columns: {listed}. Say which {what}.")


def row(number: int, columns: dict[str, Any], chosen: tuple[str, ...], where: str) -> Row | BadRow:
    """The row of a file, with the text, or the pair of texts, of the columns chosen; `where` names it in errors."""
    for name in chosen:
        if not isinstance(columns.get(name), str):
            found = (
                "is missing" if name not in columns else f"is {json.dumps(columns[name], default=str)[:40]}"
            )
            return BadRow(f"{where}: {name!r} {found}. Expected a text.")
    texts = tuple(columns[name] for name in chosen)
    return Row(number, texts if len(texts) > 1 else texts[0], columns)
