"""Cuts running text, such as web pages and reviews, into sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Names of tags are in ASCII letters, of either case.
_BLOCK_TAG = re.compile(r"</?(?ai:br|p|div|hr|li|ul|ol|h[1-6])\b[^<>]{0,200}>")
_INLINE_TAG = re.compile(r"</?(?ai:i|b|u|em|strong|span|a|font|sup|sub)\b[^<>]{0,200}>")
# A character reference with more digits than any code point has.
_LONG_NUMBER = re.compile(r"&#(?:([0-9]{9,})|[xX]([0-9a-fA-F]{9,}));?")
# The end of a sentence, with quotes and brackets that close there; the first letter of what follows. No match begins
# within a run of marks: it would end as one that begins with the run, and looking for it takes quadratic time.
_END = re.compile(r"""(?<![.!?…])[.!?…]+["'”’)\]]*\s+(?=["'“‘(\[]*(\w))|[。！？]+[」』”’]*\s*""")
# Characters before a mark that are looked at: a longer word is neither an abbreviation nor an initial.
_LONGEST = 64
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
        import html  # its table of names is large, and few texts are written so

        text = html.unescape(_LONG_NUMBER.sub(_shortened, text))
    if "<" in text:
        text = _INLINE_TAG.sub("", _BLOCK_TAG.sub("\n", text))
    for line in text.split("\n"):
        start = 0
        for end in _END.finditer(line):
            # What it needs to know stands right before: looking at all of a line each time takes quadratic time.
            before = line[max(start, end.start() - _LONGEST) : end.start()]
            if end[1] is None or _ends(before, end[0], end[1]):
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
    return not is_initial and word.lower() not in _ABBREVIATIONS


def _shortened(reference: re.Match[str]) -> str:
    """The reference with fewer digits: html.unescape stops at thousands of them, as Python's int does."""
    decimal, hexadecimal = reference.groups()
    digits = (decimal or hexadecimal).lstrip("0") or "0"
    if len(digits) > 8:
        return "\ufffd"
    return f"&#{'x' if decimal is None else ''}{digits};"


def _tidy(sentence: str) -> Iterator[str]:
    joined = " ".join(sentence.split())
    if joined:
        yield joined
