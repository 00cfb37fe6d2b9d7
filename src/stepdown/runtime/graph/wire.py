"""Reads protocol buffers, strictly: only messages of which every field is known, each where it may be and once.

ONNX files are protocol buffers, whose encoding is a few rules (https://protobuf.dev/programming-guides/encoding). Other
readers are lenient: they skip what they do not know and merge what comes twice. Here that is an error, so that what is
looked at here is what is run there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Field(NamedTuple):
    """A field of a message.

    Attributes:
        name: what it is called in the result.
        kind: "int"; "ints", packed or not; "float"; "bytes"; "skip", of no matter; "empty", which may be there and say
            nothing; "refused"; or else the name of a message.
        many: it may come more than once.
    """

    name: str
    kind: str
    many: bool


Schema = Mapping[str, Mapping[int, Field]]
"""Fields by number, of each message by name."""

# Most fields of a file, in all: more than a network of thousands of nodes has, and read in half a second.
_MOST_FIELDS = 1 << 18


def schema(table: str) -> Schema:
    """Messages from a table of lines `message: number name kind, …`; a kind that ends in * may come many times."""
    found = {}
    for line in table.strip().splitlines():
        message, fields = line.split(":")
        rows = [field.split() for field in fields.split(",")]
        found[message.strip()] = {
            int(number): Field(name, kind.rstrip("*"), kind.endswith("*")) for number, name, kind in rows
        }
    return found


class Reader:
    """Reads messages of a schema as dicts: a field's name to its value, or to a list of values where it may come twice.

    Raises ValueError for whatever is not in the schema, and for what ends too soon.
    """

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._left = _MOST_FIELDS

    def read(self, message: str, part: memoryview) -> dict[str, Any]:
        """The message of this name that `part` holds."""
        known = self._schema[message]
        found: dict[str, Any] = {}
        at, end = 0, len(part)
        while at < end:
            self._spend(1)
            key, at = _varint(part, at)
            field = known.get(key >> 3)
            if field is None or field.kind == "refused":
                raise ValueError(f"its {message} has the field {field.name if field else key >> 3}")
            wire = key & 7
            value: Any
            if wire == 0:
                value, at = _varint(part, at)
                value = _whole(field, value)
            elif wire == 2:
                size, at = _varint(part, at)
                value, at = part[at : at + size], at + size
                value = self._inner(field, value)
            elif wire == 5 and field.kind in ("float", "skip"):
                value, at = part[at : at + 4], at + 4
            else:
                raise ValueError(f"{field.name} of its {message} is encoded in another way")
            if at > end:
                raise ValueError("it ends too soon")
            if field.kind == "ints":
                found.setdefault(field.name, []).extend(value)
            elif field.many:
                found.setdefault(field.name, []).append(value)
            elif field.name in found:
                raise ValueError(f"its {message} has the field {field.name} twice")
            else:
                found[field.name] = value
        return found

    def _inner(self, field: Field, part: memoryview) -> Any:
        """The value of a field that is written with its length."""
        if field.kind in ("bytes", "skip") or (field.kind == "empty" and not part):
            return part
        if field.kind == "ints":
            self._spend(len(part))
            return varints(part)
        if field.kind in self._schema:
            return self.read(field.kind, part)
        raise ValueError(f"{field.name} is no {field.kind}")

    def _spend(self, fields: int) -> None:
        self._left -= fields
        if self._left < 0:
            raise ValueError(f"it has more than {_MOST_FIELDS:,} fields")


def varints(part: memoryview) -> list[int]:
    """The whole numbers that are written one after the other, from −2⁶³ to 2⁶³ − 1."""
    found, at = [], 0
    while at < len(part):
        value, at = _varint(part, at)
        found.append(_signed(value))
    return found


def _varint(part: memoryview, at: int) -> tuple[int, int]:
    try:
        byte = part[at]
        if byte < 128:  # most are
            return byte, at + 1
        value = byte & 127
        for shift in range(7, 70, 7):
            at += 1
            byte = part[at]
            value |= (byte & 127) << shift
            if byte < 128:
                break
    except IndexError:
        raise ValueError("it ends too soon") from None
    if byte > 127 or value >> 64:
        raise ValueError("a number of it is too long")
    return value, at + 1


def _whole(field: Field, value: int) -> int | list[int]:
    if field.kind == "ints":
        return [_signed(value)]
    if field.kind in ("int", "skip") or (field.kind == "empty" and value == 0):
        return _signed(value)
    raise ValueError(f"{field.name} is no {field.kind}")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value
