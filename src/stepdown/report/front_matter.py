"""The block of YAML that opens a README: written here, since neither the core nor a report needs a library for it.

Scalars are written as JSON, which is YAML too (YAML 1.2, section 1.3), so that no word of a user's, `no` or `1e3` or
`a: b`, is taken for anything but text; mappings and lists stand in blocks, for people.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from stepdown.report.figures import clean

# Markdown that knows nothing of such a block must see text in it and no tags.
_OF_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
# To some readers of YAML 1.1 these are truth values, and one is nothing.
_NO_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))


def front_matter(data: Mapping[str, Any]) -> str:
    """The block, its fences included.

    Args:
        data: plain values: mappings whose keys are plain words, lists, text, numbers, truth values, None. What is not
            printable in text becomes U+FFFD; of a number six digits behind the point are kept, more where they begin
            with zeros.

    Raises:
        ValueError: a number is not finite, or a key is no plain word.
    """
    return "\n".join(["---", *_lines(data), "---"]) + "\n"


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping) and value:
        return [line for key, inner in value.items() for line in _entry(f"{_key(key)}:", inner)]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return [line for inner in value for line in _item(_lines(inner))]
    return [_scalar(value)]


def _entry(key: str, inner: Any) -> list[str]:
    lines = _lines(inner)
    if len(lines) == 1 and not (isinstance(inner, Mapping | list | tuple) and inner):
        return [f"{key} {lines[0]}"]
    return [key, *(f"  {line}" for line in lines)]


def _item(lines: Sequence[str]) -> list[str]:
    return [f"- {lines[0]}", *(f"  {line}" for line in lines[1:])]


def _key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key!r} is no key of a card's metadata")
    return json.dumps(key) if key.lower() in _NO_WORDS else key


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number that a card can hold")
        # Never with an exponent: 1e-05 is text to readers of YAML 1.1.
        zeros = max(0, -math.floor(math.log10(abs(value))) - 1) if value else 0
        whole, _, fraction = f"{value:.{6 + zeros}f}".partition(".")
        return f"{whole}.{fraction.rstrip('0') or '0'}"
    if not isinstance(value, str):
        return json.dumps(value, allow_nan=False)
    text = json.dumps(clean(value), ensure_ascii=False)
    return "".join(_OF_HTML.get(letter, letter) for letter in text)
