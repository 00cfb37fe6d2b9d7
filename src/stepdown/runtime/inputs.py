"""What a classifier is given: texts or pairs of texts, checked, and as a tokenizer takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from stepdown import tasks
from stepdown.errors import InputError

Text = str | tuple[str, ...] | list[str]
"""One text, or for a model that reads pairs a tuple or list of two."""


def check(texts: object, *, is_pair: bool) -> None:
    """Look whether texts are such as a model reads.

    Args:
        texts: what the user gave.
        is_pair: the model reads pairs.

    Raises:
        InputError: it is no list, or something in it is no text or no pair, with what was found and expected.
    """
    kind = "pairs of texts" if is_pair else "texts"
    if isinstance(texts, str):
        one = "(first, second)" if is_pair else short(texts)
        reads = f" {_READS_PAIRS}" if is_pair else ""
        raise InputError(f"Expected a list of {kind}, found one text.{reads} For a single one, pass [{one}].")
    if not isinstance(texts, Sequence) or isinstance(texts, bytes | bytearray | memoryview):
        raise InputError(f"Expected a list of {kind}, found a {type(texts).__name__}. Pass list(…) of it.")
    if (
        is_pair
        and len(texts) == 2
        and isinstance(texts, tuple)
        and all(isinstance(one, str) for one in texts)
    ):
        raise InputError(
            f"Expected a list of {kind}, found one pair. For a single one, pass [{short(texts)}]."
        )
    judge = _check_pair if is_pair else _check_text
    for index, text in enumerate(texts):
        judge(index, text)


def as_strings(texts: Sequence[Text], *, is_pair: bool) -> list[str]:
    """Checked texts as tokenizers take them: a pair as one string, and no separator within a text."""
    if is_pair:
        return [tasks.joined(first, second) for first, second in cast(Sequence[tuple[str, str]], texts)]
    return [tasks.single(text) for text in cast(Sequence[str], texts)]


def as_given(strings: Sequence[str], *, is_pair: bool) -> Sequence[Text]:
    """The way back: texts as a classifier is given them, from strings of which each may hold a pair."""
    return [tasks.parts(text) for text in strings] if is_pair else strings


def texts_of(one: Text) -> tuple[str, ...]:
    """The one text that it is, or the two of a pair."""
    return (one,) if isinstance(one, str) else tuple(one)


READS_TEXTS = "This model reads single texts, not pairs."
READS_PAIRS = "This model reads pairs of texts"
_READS_PAIRS = f"{READS_PAIRS}, each a tuple of two."


def _check_text(index: int, text: object) -> None:
    if isinstance(text, str):
        return
    single = f" {READS_TEXTS}" if isinstance(text, tuple | list) else ""
    raise InputError(
        f"Text {index} is a {type(text).__name__} ({short(text)}), not a str.{single} Make all of them str."
    )


def _check_pair(index: int, pair: object) -> None:
    if isinstance(pair, str):
        raise InputError(f"Pair {index} is one text ({short(pair)}). {_READS_PAIRS}")
    if not isinstance(pair, tuple | list):
        raise InputError(f"Pair {index} is a {type(pair).__name__} ({short(pair)}). {_READS_PAIRS}")
    if len(pair) != 2:
        raise InputError(f"Pair {index} has {len(pair)} texts, not 2: {short(pair)}. {_READS_PAIRS}")
    for place, text in zip(("first", "second"), pair, strict=True):
        if not isinstance(text, str):
            raise InputError(
                f"The {place} text of pair {index} is a {type(text).__name__} ({short(text)}), not a str. "
                "Make all of them str."
            )


def short(value: object) -> str:
    """A value as Python writes it, cut to 40 characters."""
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:37] + "…" + shown[:1] * isinstance(value, str)
