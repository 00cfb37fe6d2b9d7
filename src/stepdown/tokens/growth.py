"""How much longer the normaliser of a `tokenizer.json` can make a text, so that none is made to fill a memory.

Published ones replace signs by single signs. A stranger's could double every letter, thirty times over.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from stepdown.errors import BundleError

# What a character may become at most. ALBERT's normaliser, of published ones the longest, comes to some 3,000.
_MOST = 1 << 14
# So many characters at a time fill no memory, whatever they are. More may become so many times as long, which is more
# than Unicode's normal forms make of any; they are looked at part by part.
_HARMLESS, _MOST_OF_TEXTS, _PART = 1 << 22, 20, 256
# Characters of which Unicode's normal forms make one: U+FDFA is the longest. What else there is adds spaces and dots.
_UNICODE, _OTHER = 18, 3


def check(normalizer: Mapping[str, Any], where: str) -> int:
    """How many characters a normaliser, as the library `tokenizers` describes it, can make of one, at most.

    Raises BundleError where they are more than of any model.
    """
    total, replaced = 1, False
    for part in _flat(normalizer):
        kind = str(part.get("type"))
        if kind == "Replace":
            factor = _replacement(part.get("pattern") or {}, str(part.get("content", "")))
        elif kind == "Prepend":
            factor = 1 + len(str(part.get("prepend", "")))
        elif kind == "Precompiled":
            factor = _longest_of_table(str(part.get("precompiled_charsmap", "")))
        elif not replaced:
            factor = 1  # of a text as it came, these make no more than of any
        else:
            factor = _UNICODE if kind.startswith("NF") else _OTHER
        replaced |= kind in ("Replace", "Prepend", "Precompiled")
        total *= max(1, factor)
        if total > _MOST:
            raise _too_long(where, _MOST)
    return total


def check_texts(texts: Sequence[str], growth: int, normalize: Callable[[str], str], where: str) -> None:
    """Look whether texts that are read together can be made so long, and if so, whether they are.

    Args:
        texts: about to be read.
        growth: what `check` found.
        normalize: the normaliser, which is given parts of texts.
        where: names it in errors.

    Raises:
        BundleError: they become many times as long, as no language's do.
    """
    given = sum(map(len, texts))
    if given * growth <= _HARMLESS:
        return
    left = given * _MOST_OF_TEXTS
    for text in texts:
        for start in range(0, len(text), _PART):
            left -= len(normalize(text[start : start + _PART]))
            if left < 0:
                raise _too_long(where, _MOST_OF_TEXTS)


def _too_long(where: str, times: int) -> BundleError:
    return BundleError(
        f"{where} makes texts more than {times:,} times as long, as no model's tokenizer does. Do not trust it."
    )


def _flat(normalizer: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting = [normalizer]
    while waiting:
        part = waiting.pop(0)
        waiting = [*part.get("normalizers", ()), *waiting]
        yield part


def _replacement(pattern: Mapping[str, Any], content: str) -> int:
    text = pattern.get("String")
    if isinstance(text, str) and text:
        return -(-len(content) // len(text))
    return len(content) if len(content) <= 1 else 1 + len(content)


def _longest_of_table(encoded: str) -> int:
    """What sentencepiece's table makes of a character: a trie of so many bytes, and texts that end in NUL."""
    try:
        table = base64.b64decode(encoded, validate=True)
    except ValueError:
        return 1  # the library refuses it
    texts = table[4 + int.from_bytes(table[:4], "little") :]
    return max(len(text.decode("utf-8", "replace")) for text in texts.split(b"\0"))
