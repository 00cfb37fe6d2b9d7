"""Texts and labels of a Python program as a file that `data` reads: what `distill` works on."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from stepdown.errors import DataError

Text = str | tuple[str, str]
"""A text, or a pair of them."""
Label = str | int | float | Collection[str] | None
"""A class, a number, or the names of all labels that apply; None where it is not known."""

_TEXT, _PAIR = ("text",), ("text1", "text2")


def written(
    texts: Sequence[Text], labels: Sequence[Label] | None, unlabeled: Sequence[Text] = ()
) -> tuple[str, dict[str, Any]]:
    """JSON lines of labelled texts, and then of others.

    Args:
        texts: n texts or n pairs.
        labels: one for each; None where nobody knows any.
        unlabeled: more of the same kind as the texts.

    Returns:
        the lines, and the keys of `[data]` that name their columns; there is no label column without labels.

    Raises:
        DataError: there are not as many labels as texts, or texts are mixed with pairs, or lists of labels with single
            ones, or anything is of a type that it cannot be.
    """
    if isinstance(texts, str) or isinstance(unlabeled, str):
        raise DataError("texts is one string; expected a list of them: [text]")
    if labels is not None and len(texts) != len(labels):
        raise DataError(
            f"There are {len(texts):,} texts and {len(labels):,} labels; expected a label for each text"
        )
    columns = _TEXT if isinstance(next(iter(texts), ""), str) else _PAIR
    rows, others = _rows("texts", texts, columns), _rows("unlabeled", unlabeled, columns)
    if labels is not None:
        known = [_label(f"labels[{at}]", label) for at, label in enumerate(labels)]
        _check_alike(known)
        rows = [row | {"label": label} for row, label in zip(rows, known, strict=True)]
        others = [row | {"label": None} for row in others]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in [*rows, *others])
    return lines, {"text": list(columns), "label": [] if labels is None else "label"}


def _rows(name: str, texts: Iterable[object], columns: tuple[str, ...]) -> list[dict[str, object]]:
    """A row for each text, by column."""
    rows: list[dict[str, object]] = []
    for at, text in enumerate(texts):
        several = (text,) if isinstance(text, str) else tuple(text) if isinstance(text, tuple | list) else ()
        if len(several) != len(columns) or not all(isinstance(one, str) for one in several):
            expected = "a string" if len(columns) == 1 else "a tuple of two strings, as texts[0] is none"
            raise DataError(f"{name}[{at}] is {_shown(text)}; expected {expected}")
        rows.append(dict(zip(columns, several, strict=True)))
    return rows


def _label(place: str, label: object) -> str | list[str] | None:
    """A label as JSON has it: numbers, too, are strings, so that 1 and "1" are one class."""
    if label is None or isinstance(label, str):
        return label
    if isinstance(label, list | tuple | set | frozenset):
        if not all(isinstance(name, str) for name in label):
            raise DataError(f"{place} is {_shown(label)}; expected the names of labels in it, as strings")
        return sorted(label) if isinstance(label, set | frozenset) else list(label)
    if isinstance(label, dict | bytes) or hasattr(label, "__len__"):  # an array, say
        raise DataError(f"{place} is {_shown(label)}; expected a string, a number, a list of names, or None")
    return str(label)


def _check_alike(labels: Sequence[str | list[str] | None]) -> None:
    """Refuse single labels among lists of them."""
    if not any(isinstance(label, list) for label in labels):
        return
    for at, label in enumerate(labels):
        if isinstance(label, str):
            raise DataError(
                f"labels[{at}] is {_shown(label)}, others are lists of labels; expected [{label!r}]"
            )


def _shown(value: object) -> str:
    said = repr(value)
    return said if len(said) <= 60 else f"{said[:57]}…"
