"""What a classifier is asked for: the kinds of task, and how a pair of texts is one string.

Every room reads texts as strings. A pair is the two texts with `SEPARATOR` between them, a control character that no
text holds, as the room that reads the user's data, and the runtime, see to. Whatever compares, counts or keeps texts
need not know of pairs; tokenizers do.
"""

from __future__ import annotations

from typing import Literal, get_args

TaskKind = Literal["single-label", "multi-label", "regression"]

TASK_KINDS: tuple[TaskKind, ...] = get_args(TaskKind)

SEPARATOR = "\x1f"
"""U+001F, the information separator between units of one record."""


def joined(first: str, second: str) -> str:
    """A pair of texts as one string."""
    return f"{single(first)}{SEPARATOR}{single(second)}"


def parts(text: str) -> tuple[str, ...]:
    """The two texts of a pair, or the one text that it is."""
    return tuple(text.split(SEPARATOR, 1))


def single(text: str) -> str:
    """One text as it may be: where it holds the separator, by accident or on purpose, there is a space."""
    return text.replace(SEPARATOR, " ")
