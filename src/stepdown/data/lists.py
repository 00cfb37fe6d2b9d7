"""Lists of labels that are written as text, as they stand in the cells of a CSV file.

JSON and Python write `["a", "b"]` and `['a', 'b']`; pandas writes a column of numpy arrays, which is what it makes of a
Parquet file, as `['a' 'b']` and `[3 5]`. Python itself would read the former as the one text `ab`.
"""

from __future__ import annotations

import ast
import json
import re

_MEMBER = re.compile(
    r"""\s*(?:(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
    r"""|(?P<plain>[-+]?\d+(?:\.\d*)?|True|False|true|false))\s*(?:,|(?=[\s\]'"])|$)""",
    re.DOTALL,
)


def parse(cell: str) -> tuple[str, ...] | None:
    """The members of a list, as labels are written; None if it is no list, or one of other things than labels."""
    if not (cell.startswith("[") and cell.endswith("]")):
        return None
    inside, members, at = cell[1:-1].strip(), [], 0
    while at < len(inside):
        match = _MEMBER.match(inside, at)
        if match is None:
            return None
        at = match.end()
        member = _unquoted(match["text"]) if match["text"] else _plain(match["plain"])
        if not member:
            return None
        members.append(member)
    return tuple(members)


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text)).strip()
    except ValueError:
        pass
    try:
        return str(ast.literal_eval(text)).strip()
    except (ValueError, SyntaxError):
        return text[1:-1].strip()


def _plain(said: str) -> str:
    """A number in its shortest spelling, a truth value as Python writes it."""
    if said.lstrip("+-").isdigit():
        return said
    return said.capitalize() if said[0] in "tTfF" else f"{float(said):g}"
