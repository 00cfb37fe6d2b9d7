"""Reads the JSON of a `bundle.json` key by key: every fault is told with its place, and what was expected there."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, TypeGuard

from stepdown.errors import BundleError, shown

_MOST_LABELS = 100_000


def parsed(content: bytes, where: str) -> Said:
    """The JSON object that a file holds; `where` names it in errors. Raises BundleError where it is none."""
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{where} is not the JSON of a bundle: {error}. Copy the bundle again.") from error
    if not isinstance(value, dict):
        raise BundleError(f"{where} must hold a JSON object. Copy the bundle again.")
    return Said(value, where)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


@dataclass(frozen=True)
class Said:
    """A JSON object and where it stands; what is asked of it and is not there, or is something else, is a BundleError.

    Attributes:
        value: the object.
        where: names it in errors.
    """

    value: dict[str, Any]
    where: str

    def fault(self, key: str, expected: str) -> BundleError:
        """The error that a key is missing or holds something else than what was expected."""
        if key not in self.value:
            return BundleError(
                f"{self.where} has no {shown(key)}; expected {expected}. Export the bundle again."
            )
        return BundleError(
            f"{self.where}: {shown(key)} is {shown(self.value[key])}; expected {expected}. Export the bundle again."
        )

    def inner(self, key: str) -> Said:
        """An object in this one."""
        if not isinstance(self.value.get(key), dict):
            raise self.fault(key, "an object")
        return Said(self.value[key], f"{self.where}: {key}")

    def inners(self, key: str) -> list[Said]:
        """A list of objects in this one."""
        values = self.value.get(key)
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.fault(key, "a list of objects")
        return [Said(value, f"{self.where}: {key}.{index}") for index, value in enumerate(values)]

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self.value.get(key)
        if not isinstance(value, str) or not _is_text(value):
            raise self.fault(key, "a text that is not empty")
        return value

    def text_or_none(self, key: str) -> str | None:
        """A text, or None where there is none."""
        return None if self.value.get(key) is None else self.text(key)

    def texts(self, key: str, least: int) -> tuple[str, ...]:
        """At least so many texts, all different."""
        values = self.value.get(key)
        if (
            not isinstance(values, list)
            or not all(isinstance(value, str) and _is_text(value) for value in values)
            or not least <= len(values) == len(set(values)) <= _MOST_LABELS
        ):
            raise self.fault(key, f"a list of {least} or more different texts, none empty")
        return tuple(values)

    def whole(self, key: str, low: int, high: int) -> int:
        """A whole number within bounds, both included."""
        value = self.value.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.fault(key, f"a whole number from {low:,} to {high:,}")
        return value

    def whole_or_none(self, key: str, low: int, high: int) -> int | None:
        """A whole number within bounds, or None where there is none."""
        return None if self.value.get(key) is None else self.whole(key, low, high)

    def number(self, key: str, low: float, high: float) -> float:
        """A number within bounds, both included."""
        value = self.value.get(key)
        if not _is_number(value, low, high):
            raise self.fault(key, f"a number from {low:g} to {high:g}")
        return float(value)

    def numbers_or_none(self, key: str, count: int, low: float, high: float) -> tuple[float, ...] | None:
        """So many numbers within bounds, or None where there are none."""
        values = self.value.get(key)
        if values is None:
            return None
        if (
            not isinstance(values, list)
            or len(values) != count
            or not all(_is_number(value, low, high) for value in values)
        ):
            raise self.fault(key, f"a list of {count:,} numbers from {low:g} to {high:g}")
        return tuple(map(float, values))


def _is_number(value: object, low: float, high: float) -> TypeGuard[int | float]:
    # What is not finite is outside all bounds.
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is_text(value: str) -> bool:
    # JSON can spell half of a surrogate pair, which no file or terminal can be given.
    return value != "" and not re.search("[\ud800-\udfff]", value)
