"""Cuts running text, such as web pages and reviews, into sentences."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_BLOCK_TAG = re.compile(r"</?(?:br|p|div|hr|li|ul|ol|h[1-6])\b[^<>]{0,200}>", re.IGNORECASE)
_INLINE_TAG = re.compile(r"</?(?:i|b|u|em|strong|span|a|font|sup|sub)\b[^<>]{0,200}>", re.IGNORECASE)
# The end of a sentence, with quotes and brackets that close there; the first letter of what follows.
_END = re.compile(r"""[.!?…]+["'”’)\]]*\s+(?=["'“‘(\[]*(\w))|[。！？]+[」』”’]*\s*""")
_ABBREVIATIONS = frozenset({
    "mr", "mrs", "ms", "dr", "prof", "rev", "hon", "gen", "col", "lt", "sgt", "capt", "maj", "gov", "sen", "rep",
    "pres", "st", "mt", "jr", "sr", "vs", "no", "nos", "vol", "fig", "figs", "dept", "inc", "ltd", "co", "corp",
    "bros", "approx", "est", "e.g", "i.e", "cf", "al", "op", "a.k.a", "u.s", "u.k", "jan", "feb", "mar", "apr",
    "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec",
})  # fmt: skip


def sentences(text: str) -> Iterator[str]:
    """The sentences of a text, without markup, spaces made single.

    A sentence ends with its line or paragraph, and at . ! ? … before a space and anything but a small letter, unless
    the full stop belongs to an abbreviation or an initial. In text whose words are set apart from marks (" . "), a
    lone full stop ends a sentence whatever follows.
    """
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        text = _INLINE_TAG.sub("", _BLOCK_TAG.sub("\n", text))
    for line in text.split("\n"):
        start = 0
        for end in _END.finditer(line):
            if end[1] is None or _ends(line[start : end.start()], end[0], end[1]):
                yield from _tidy(line[start : end.end()])
                start = end.end()
        yield from _tidy(line[start:])


def _ends(before: str, marks: str, following: str) -> bool:
    if following.islower():
        return before.endswith(" ") and marks.strip() == "."
    if not marks.startswith(".") or marks.startswith(".."):
        return True
    word = before.rsplit(None, 1)[-1].lstrip("\"'“‘([") if before.strip() and not before.endswith(" ") else ""
    is_initial = len(word) == 1 and word.isupper() and word != "I"
    return not is_initial and word.casefold() not in _ABBREVIATIONS


def _tidy(sentence: str) -> Iterator[str]:
    joined = " ".join(sentence.split())
    if joined:
        yield joined
